-- wrk script: rows whose first feature decides the trivial rules' confidence, half of them at 0.6 or more, all with
-- rollout: true and a sticky key of their own. Ends with one line of JSON.

local bodies = {}
local turn = 0

function init(args)
  math.randomseed(7)
  for i = 1, 512 do
    local row = { string.format("%.3f", (i - 1) / 512 * 1.2) } -- confidence 0 .. 1.2: half at 0.6 or more
    for _ = 2, 16 do row[#row + 1] = string.format("%.4f", math.random() * 2 - 1) end
    bodies[i] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, string.format(
      '{"id":"row-%d","inputs":[{"name":"x","shape":[1,16],"datatype":"FP32","data":[%s]}],"parameters":{"mesh_attributes":{"rollout":true}}}',
      i, table.concat(row, ",")))
  end
end

function request()
  turn = turn % #bodies + 1
  return bodies[turn]
end

function done(summary, latency)
  local e = summary.errors
  local seconds = summary.duration / 1e6
  print(string.format('{"requests":%d,"rps":%.1f,"p50_ms":%.3f,"p99_ms":%.3f,"errors":%d}', summary.requests,
    summary.requests / seconds, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.timeout + e.status))
end
