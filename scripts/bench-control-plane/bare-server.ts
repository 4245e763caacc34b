/** Reads each request to its end and answers with its argument: what Node.js itself costs a server. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const [, , answer = ""] = process.argv;
const headers = { "content-type": "application/json", "content-length": answer.length };

/** As the control plane's, so that neither closes a connection on which a request is under way. */
const keepAliveTimeout = 75_000;

const server = createServer({ keepAliveTimeout }, (request, response) => {
  request.resume().once("end", () => response.writeHead(200, headers).end(answer));
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}`, msg: "listening" }));
});
