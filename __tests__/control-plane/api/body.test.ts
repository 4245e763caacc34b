import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { textOf } from "../../../control-plane/api/body";

it("a body whose sender left before anybody read it has an end", async () => {
  const incoming = new IncomingMessage(new Socket());
  incoming.once("error", () => {});
  incoming.destroy(new Error("aborted"));
  await new Promise((resolve) => incoming.once("close", resolve));

  await expect(textOf(incoming)).rejects.toThrow("aborted");
});
