import { once } from "node:events";
import { isIP, type Socket } from "node:net";
import { connect } from "node:tls";
import type { Address } from "./reach";

/** Goes on in TLS on a connection whose server has agreed to it, and gives what was negotiated, in words. */
export async function handshake(socket: Socket, { host }: Address, verify: boolean): Promise<string> {
  const secure = connect({
    socket,
    rejectUnauthorized: verify,
    ...(isIP(host) ? { host } : { servername: host }),
  });
  try {
    await once(secure, "secureConnect");
    return `${secure.getProtocol()}, ${secure.getCipher().name}${verify ? "" : ", certificate not verified"}`;
  } finally {
    secure.destroy();
  }
}
