import type { Connection } from "../../../control-plane/protocol";
import type { Checks } from "./check";
import { type Address, connected, firstBytes } from "./reach";
import { handshake } from "./tls";

/** https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html */
const CLIENT_PROTOCOL_41 = 0x200;
const CLIENT_SSL = 0x800;
const CLIENT_SECURE_CONNECTION = 0x8000;
const ERROR_PACKET = 0xff;
const HEADER_BYTES = 4;
const MAX_GREETING_BYTES = 4_096;
const MAX_PACKET_BYTES = 16 * 1_024 * 1_024;
const UTF8MB4 = 45;

interface Greeting {
  readonly version: string;
  readonly capabilities: number;
}

/** A MySQL server is tried as far as its greeting and TLS: nobody logs in. */
export function mysqlChecks({ options }: Connection, address: Address): Checks {
  const verify = options["MYSQL_TLS_SKIP_VERIFY"] !== "true";
  return {
    close: () => {},
    steps: [
      {
        step: "tls",
        look: async (signal) => {
          const socket = await connected(address, signal);
          try {
            const { version, capabilities } = parseGreeting(await packet(socket));
            if ((capabilities & CLIENT_SSL) === 0) return `MySQL ${version} offers none`;
            socket.write(sslRequest());
            return `MySQL ${version}, ${await handshake(socket, address, verify)}`;
          } finally {
            socket.destroy();
          }
        },
      },
      {
        step: "auth",
        look: async () => ({
          result: "warning",
          detail: "not tried: login, privileges and binlog settings of MySQL are not tested",
        }),
      },
    ],
  };
}

async function packet(socket: Parameters<typeof firstBytes>[0]): Promise<Buffer> {
  const header = await firstBytes(socket, HEADER_BYTES);
  const length = header.readUIntLE(0, 3);
  // The first packet of a conversation has number 0.
  if (length === 0 || length > MAX_GREETING_BYTES || header[3] !== 0)
    throw new Error("the server does not speak MySQL's protocol");
  return await firstBytes(socket, length);
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html */
function parseGreeting(payload: Buffer): Greeting {
  if (payload[0] === ERROR_PACKET) throw new Error(payload.toString("utf8", 3).replace(/^#\w{5}/, ""));
  const end = payload.indexOf(0, 1);
  // Version, connection id (4), the first part of the challenge (8), a filler (1).
  const at = end + 1 + 4 + 8 + 1;
  if (payload[0] !== 10 || end < 0 || payload.length < at + 2) {
    throw new Error("the server does not speak MySQL's protocol, version 10");
  }
  return { version: payload.toString("latin1", 1, end), capabilities: payload.readUInt16LE(at) };
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html */
function sslRequest(): Buffer {
  const body = Buffer.alloc(32);
  body.writeUInt32LE(CLIENT_PROTOCOL_41 | CLIENT_SSL | CLIENT_SECURE_CONNECTION, 0);
  body.writeUInt32LE(MAX_PACKET_BYTES, 4);
  body.writeUInt8(UTF8MB4, 8);
  // Its length, and its number in the conversation.
  return Buffer.concat([Buffer.from([body.length, 0, 0, 1]), body]);
}
