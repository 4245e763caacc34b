import { AutoScalingRules } from "../../scripts/emulator/auto-scaling/auto-scaling-rules";
import type { LaunchOrder, LifecycleHook, ScalingGroup } from "../../scripts/emulator/auto-scaling/group";
import { InstanceRefreshes } from "../../scripts/emulator/auto-scaling/instance-refresh";
import { Ec2Rules } from "../../scripts/emulator/ec2/ec2-rules";
import { VirtualClock } from "../../scripts/rolling-update/simulator/virtual-clock";
import { seededRandom } from "../../scripts/seeded-random";

export const NAME = "workers";
export const MINUTE_MS = 60_000;

/** Auto Scaling groups in virtual time, on an EC2 that starts an instance in ten seconds and ends one in twenty. */
export function virtualGroups() {
  const clock = new VirtualClock(seededRandom(1));
  const orders: LaunchOrder[] = [];
  let refusal: string | undefined;
  const ec2 = new Ec2Rules(clock, {
    start: (_instance, running) => clock.after(10_000, running),
    shutdown: (_id, gone) => clock.after(20_000, gone),
    detach: (_id, _volumes, free) => clock.after(1_000, free),
  });
  const groups = new AutoScalingRules(
    clock,
    {
      launch: (order, answer) => {
        if (refusal !== undefined) {
          answer({ refused: refusal });
          return;
        }
        orders.push(order);
        const id = `i-${orders.length}`;
        ec2.begin({ id, state: "pending", interfaceIds: [] });
        answer({ id, template: { id: order.template.id, version: order.template.version ?? "" }, zone: order.zone });
      },
      terminate: (id) => ec2.terminate(id),
      state: (id) => ec2.state(id),
    },
    { noticeMs: 1_000, firstBackOffMs: 15_000, longestBackOffMs: 15 * MINUTE_MS, healthCheckMs: 30_000 },
  );
  ec2.onTerminated = (id) => groups.instanceEnded(id);
  const refreshes = new InstanceRefreshes(
    clock,
    groups,
    async ({ template }, member) => member.template?.version === template?.version,
    { stepMs: 1_000, stuckMs: 60 * MINUTE_MS },
  );
  return {
    ec2,
    groups,
    refreshes,
    orders,
    refuse: (reason: string | undefined) => {
      refusal = reason;
    },
    pass: (ms: number) => clock.run(new Promise(() => {}), ms),
    create: (change: Partial<ScalingGroup>, hooks: readonly LifecycleHook[] = []) =>
      groups.create(
        {
          name: NAME,
          min: 0,
          max: 10,
          desired: 3,
          template: { id: "lt-1", version: "1" },
          zones: ["a", "b", "c"],
          subnetIds: [],
          suspended: [],
          retainsInstances: false,
          tags: {},
          ...change,
        },
        hooks,
      ),
    group: () => groups.group(NAME).view.current,
    inService: () => groups.group(NAME).view.current.instances.filter(({ lifecycle }) => lifecycle === "InService"),
    activities: () => groups.group(NAME).activities.current.list,
  };
}
