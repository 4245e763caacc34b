import type { Act } from "../rehearsal";
import type { EventName } from "../scenario/event";
import { badConfig } from "./bad-config";
import { fillDisk } from "./fill-disk";
import { lose } from "./lose";
import { partition } from "./partition";
import { reboot } from "./reboot";
import { rollEvent } from "./roll";
import { slowBoot } from "./slow-boot";
import { spotNotice } from "./spot-notice";
import { wait } from "./wait";

/** What each event does. */
export const ACTS: Readonly<Record<EventName, Act>> = {
  lose,
  roll: rollEvent,
  reboot,
  "slow-boot": slowBoot,
  "bad-config": badConfig,
  "spot-notice": spotNotice,
  partition,
  "fill-disk": fillDisk,
  wait,
};

/** Events that need an operating system to happen in. */
export const NEED_INSIDE: readonly EventName[] = ["partition", "fill-disk"];
