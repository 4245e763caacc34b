import type { Action } from "../../control-plane/protocol";

/** What the control plane may ask of a worker. */
export interface OrderHandlers {
  readonly stop: (action: Extract<Action, { kind: "stop" }>) => void;
  readonly drain: (action: Extract<Action, { kind: "drain" }>) => void;
  readonly upgrade?: (action: Extract<Action, { kind: "upgrade" }>) => void;
  readonly test_connection?: (action: Extract<Action, { kind: "test_connection" }>) => void;
}

export interface Orders {
  /** The kinds of action that are understood here. */
  readonly features: readonly Action["kind"][];
  /** Carries actions out. They are repeated until the worker's state shows that they are done, so each must bear repetition. */
  obey(actions: readonly Action[]): void;
}

export function ordersTo(handlers: OrderHandlers): Orders {
  return {
    features: Object.keys(handlers) as Action["kind"][],
    obey(actions) {
      for (const action of actions) {
        const handle = handlers[action.kind] as ((action: Action) => void) | undefined;
        handle?.(action);
      }
    },
  };
}
