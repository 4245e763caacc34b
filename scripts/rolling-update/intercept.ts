/** Wraps every method of a port: the one way retries, fencing, counting and faults are laid around it. */
export function intercept<Port extends object>(
  port: Port,
  around: (method: keyof Port & string, call: () => Promise<unknown>, args: readonly unknown[]) => Promise<unknown>,
): Port {
  return new Proxy(port, {
    get(target, name) {
      const method = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...args: unknown[]) => around(name as keyof Port & string, () => method.apply(target, args), args);
    },
  });
}
