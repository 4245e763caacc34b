import * as z from "zod";
import { rotateKeys } from "../../store/catalog";
import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { actorOf, conflictsRefused, ofAllDeployments } from "./reach";

export function addKeyRoutes(routes: Routes, { pool, keyring }: ApiContext): void {
  routes.add({
    method: "post",
    path: "/api/v1/keys/rotate",
    summary: "Wrap every sealed password with the keyring's first key, so that the others may leave it",
    token: "operator",
    answer: z.object({ key: z.string(), wrapped: z.int() }),
    handle: async ({ holder }) => {
      ofAllDeployments(holder);
      const wrapped = await conflictsRefused(rotateKeys(pool, keyring, actorOf(holder)));
      return { key: keyring.current, wrapped };
    },
  });
}
