/** Ends TLS in front of a port of the loopback interface, as a process of its own. Its address is printed as that of a server is. */
import { openGate } from "../rehearse/fleet/gate";

const { TO = "", KEY: key = "", CERTIFICATE: certificate = "" } = process.env;

void openGate("127.0.0.1", Number(TO), { key, certificate }).then(({ port }) =>
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}`, msg: "listening" })),
);
