# The mesh as an image. `make images` builds both:
#   slim  what config/ needs as it stands: rules, python, onnx, identity and triton models; records in PostgreSQL, traces
#   full  the same with the extras: torch, tensorflow, train, features (Delta tables on S3), backfill, s3 (a registry there), console
# Every RUN is run by tests/integration/test_containers_dockerfile.py in a clean folder, so each is one plain command.
ARG PYTHON=3.11.11-slim-bookworm

FROM python:${PYTHON} AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY mesh mesh
COPY serve serve
COPY ingest ingest
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON} AS venv-slim
COPY constraints.txt /src/constraints.txt
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/venv
RUN /opt/venv/bin/pip install --no-cache-dir --constraint /src/constraints.txt "$(echo /wheels/*.whl)[postgres,otel]"

FROM venv-slim AS venv-full
RUN /opt/venv/bin/pip install --no-cache-dir --constraint /src/constraints.txt "$(echo /wheels/*.whl)[torch,tensorflow,train,features,backfill,s3,postgres,console,otel]"

FROM python:${PYTHON} AS runtime
RUN useradd --uid 1000 --user-group --create-home --shell /usr/sbin/nologin mesh
WORKDIR /opt/hyperstream
COPY serve_config.yaml ./
COPY config config
COPY models models
COPY data data
# A container's own loopback is of no use to others; docker-compose.yml and k8s/ say who reaches the ports.
RUN sed -i 's/^  host: 127.0.0.1$/  host: 0.0.0.0/' /opt/hyperstream/serve_config.yaml
# Rules, records, registry and history of a mesh without Redis, a database or S3 for them; a volume is mounted here.
RUN install --directory --owner=1000 --group=1000 /opt/hyperstream/store
RUN grep -q '^  host: 0.0.0.0$' /opt/hyperstream/serve_config.yaml
# KubeRay may start Ray from a login shell, whose PATH is not this image's.
RUN ln -s /opt/venv/bin/hyperstream /opt/venv/bin/ray /opt/venv/bin/serve /usr/local/bin/
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    MESH_CONFIG=/opt/hyperstream/config \
    MESH_RULES_STORE=/opt/hyperstream/store/rules.json \
    MESH_HOST=0.0.0.0
# Programs write below here, /tmp and the store only; all may be mounted over a read-only root.
WORKDIR /home/mesh
EXPOSE 8000 9000 8080 9001 9464
# `hyperstream up` drains on it: the feed stops, what was read is answered and committed, requests finish.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=6 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["hyperstream"]
CMD ["up", "--no-feed", "--serve-config", "/opt/hyperstream/serve_config.yaml"]
USER 1000:1000

FROM runtime AS full
COPY --from=venv-full /opt/venv /opt/venv

FROM runtime AS slim
COPY --from=venv-slim /opt/venv /opt/venv
