import * as z from "zod";
import { recordAudit } from "../../store/audit";
import { rotateKeys } from "../../store/catalog";
import { transaction } from "../../store/database";
import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { actorOf, ofAllDeployments } from "./reach";

export function addKeyRoutes(routes: Routes, { pool, keyring }: ApiContext): void {
  routes.add({
    method: "post",
    path: "/api/v1/keys/rotate",
    summary: "Wrap every sealed password with the keyring's first key, so that the others may leave it",
    token: "operator",
    answer: z.object({ key: z.string(), wrapped: z.int() }),
    handle: async ({ holder }) => {
      ofAllDeployments(holder);
      const wrapped = await rotateKeys(pool, keyring);
      const detail = { key: keyring.current, wrapped };
      const entry = { deploymentId: null, actor: actorOf(holder), action: "keys.rotate", subject: "all", detail };
      await transaction(pool, async (tx) => recordAudit(tx, entry));
      return detail;
    },
  });
}
