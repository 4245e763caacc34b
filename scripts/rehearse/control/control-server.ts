import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import type { Consoles } from "../consoles";
import type { Rehearsal } from "../rehearsal";
import { abandonLaunch } from "./abandon";
import { type FaultSettings, faultSettingsSchema, NO_FAULTS, setFaults } from "./fault-settings";

/** A node, as a second program asks for it. */
export interface ControlledNode {
  readonly name: string;
  readonly state: string;
  readonly instance: string | undefined;
  /** A program and its arguments that open a shell in it; undefined where there is none to open. */
  readonly shell: readonly string[] | undefined;
}

/** What of a rehearsal can be asked and set while it runs. */
export interface Controlled extends Pick<Rehearsal, "watch" | "stage" | "story" | "autoScaling"> {
  readonly consoles: Consoles;
}

/**
 * What a second program can ask of a running rehearsal, and set in it, on the loopback interface alone:
 * `GET /nodes`, `GET /logs?node=`, `GET`, `PUT` and `DELETE /faults`, `POST /abandon?node=`.
 */
export function controlApp(controlled: Controlled): Hono {
  const { watch, stage, story, consoles } = controlled;
  const app = new Hono();
  let current: FaultSettings = NO_FAULTS;
  const set = (settings: FaultSettings) => {
    current = settings;
    setFaults(stage.aws.faults, settings);
    story.tell({ kind: "notice", text: `faults: ${JSON.stringify(settings)}` });
    return settings;
  };

  app.get("/nodes", (context) =>
    context.json(
      watch.nodes.map(
        ({ name, state, instance }): ControlledNode => ({
          name,
          state,
          instance,
          shell: instance === undefined ? undefined : stage.inside?.shell(instance),
        }),
      ),
    ),
  );
  app.get("/logs", async (context) => {
    const node = context.req.query("node") ?? "";
    const text = await consoles.of(node);
    if (text !== undefined) return context.text(text);
    return context.json({ error: `there is no node ${node}; there are ${namesOf(controlled)}` }, 404);
  });
  app.get("/faults", (context) => context.json(current));
  app.delete("/faults", (context) => context.json(set(NO_FAULTS)));
  app.put("/faults", async (context) => {
    const given = await context.req.json().catch(() => undefined);
    const parsed = faultSettingsSchema.safeParse(given);
    if (parsed.success) return context.json(set(parsed.data));
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "faults"}: ${message}`);
    return context.json(
      { error: `${problems.join("; ")}; there are refuse, noCapacity, staleMs, shutdownMs, attachingMs` },
      400,
    );
  });
  app.post("/abandon", async (context) => {
    const name = context.req.query("node") ?? "";
    const node = watch.node(name);
    if (node === undefined)
      return context.json({ error: `there is no node ${name}; there are ${namesOf(controlled)}` }, 404);
    const error = await abandonLaunch(controlled, node);
    if (error !== undefined) return context.json({ error }, 409);
    story.tell({ kind: "notice", node: name, text: "its launch was abandoned" });
    return context.json({ abandoned: node.instance });
  });
  return app;
}

const namesOf = ({ watch }: Controlled) => watch.nodes.map(({ name }) => name).join(", ") || "none yet";

/** @returns where it answers, and what ends it */
export async function serveControl(app: Hono): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const server = createAdaptorServer({ fetch: app.fetch });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      if ("closeAllConnections" in server) server.closeAllConnections();
      await closed;
    },
  };
}
