// An unmodified graphql-ws client: runs one operation and prints what its sink is told, one JSON object a line.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, query, variables, wanted] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
const client = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0 });
client.on("connected", () => say({ connected: true }));
client.on("closed", (event) => say({ closed: event.code, reason: event.reason }));

let left = Number(wanted);
const stop = client.subscribe(
  { query, variables: JSON.parse(variables) },
  {
    next: (value) => {
      say({ next: value });
      left -= 1;
      if (left === 0) stop();
    },
    error: (error) => {
      say({ error: error.code ? { code: error.code, reason: error.reason } : error });
      client.dispose();
    },
    complete: () => {
      say({ complete: true });
      client.dispose();
    },
  },
);
