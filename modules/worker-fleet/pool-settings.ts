import type { PoolScalingProps } from "../pool-scaling/pool-scaling";
import { compact } from "./compact";
import type { FleetContext } from "./fleet-context";
import type { ScheduledSize } from "./group-schedules";
import type { MachineImage } from "./machine-image";
import type { PoolInstancesProps } from "./pool-instances";
import type { PoolConfig } from "./pool-keys";
import type { RootVolumeProps } from "./worker-launch-template";
import { workerSlots } from "./worker-slots";

const SECONDS_PER_DAY = 86_400;

type SettledProps = Omit<
  PoolInstancesProps,
  "name" | "instanceProfileArn" | "userData" | "hooks" | "rollbackAlarmNames" | "tags"
>;

/** What a pool's settings say of its instances, in the words of the constructs. */
export function instancesProps(fleet: FleetContext, pool: PoolConfig): SettledProps {
  const { ssh, unsafe } = fleet.settings;
  return {
    instanceTypes: pool.instance_types,
    size: compact({ min: pool.size.min, max: pool.size.max, initial: pool.size.initial }),
    subnetIds: [...fleet.subnetIds],
    securityGroupIds: [fleet.securityGroupId],
    bootsAfter: fleet.bootsAfter,
    drainMode: pool.drain.mode,
    rootVolume: rootVolume(fleet, pool),
    detailedMonitoring: pool.detailed_monitoring,
    unsafe: {
      imdsv1: unsafe.imdsv1,
      imdsHopLimit: unsafe.imds_hop_limit,
      unencryptedRootVolume: unsafe.unencrypted_root_volume,
    },
    refresh: {
      minHealthyPercent: pool.instance_refresh.min_healthy_percent,
      maxHealthyPercent: pool.instance_refresh.max_healthy_percent,
      warmupSeconds: pool.instance_refresh.warmup_seconds,
      checkpointPercents: pool.instance_refresh.checkpoint_percents,
      checkpointDelaySeconds: pool.instance_refresh.checkpoint_delay_seconds,
    },
    maintenance: {
      minHealthyPercent: pool.maintenance.min_healthy_percent,
      maxHealthyPercent: pool.maintenance.max_healthy_percent,
    },
    healthCheckGraceSeconds: pool.health_check_grace_seconds,
    warmupSeconds: pool.warmup_seconds,
    capacityTimeoutSeconds: pool.capacity_timeout_seconds,
    schedules: Object.fromEntries(Object.entries(pool.schedules).map(([name, size]) => [name, schedule(size)])),
    ...compact({
      keyName: ssh?.key_name,
      images: pool.images === undefined ? undefined : images(pool.images),
      spot: pool.spot && {
        onDemandBase: pool.spot.on_demand_base,
        onDemandPercentAboveBase: pool.spot.on_demand_percent,
      },
      warmPool: pool.warm_pool && warmPool(pool.warm_pool),
      maxInstanceLifetimeSeconds: pool.max_lifetime_days && pool.max_lifetime_days * SECONDS_PER_DAY,
    }),
  };
}

/** What a pool's settings say of its scaling, in the words of the constructs. */
export function scalingProps(pool: PoolConfig) {
  const { scale_out, scale_in, target_slot_usage_percent } = pool;
  return {
    jobsPerInstance: workerSlots(pool),
    scaleOut: {
      evaluationMinutes: scale_out.evaluation_minutes,
      minutesToAlarm: scale_out.minutes_to_alarm,
      warmupSeconds: scale_out.warmup_seconds,
    },
    scaleIn:
      scale_in.enabled &&
      compact({
        cpuBelowPercent: scale_in.cpu_below_percent,
        headroomSlots: scale_in.headroom_slots,
        quietMinutes: scale_in.quiet_minutes,
        cooldownSeconds: scale_in.cooldown_seconds,
      }),
    ...compact({ targetSlotUsagePercent: target_slot_usage_percent }),
  } satisfies Partial<PoolScalingProps>;
}

function rootVolume({ settings: { encryption } }: FleetContext, { root_volume }: PoolConfig): RootVolumeProps {
  return {
    sizeGiB: root_volume.size_gib,
    deviceName: root_volume.device_name,
    ...compact({
      iops: root_volume.iops,
      throughputMiBps: root_volume.throughput_mibps,
      kmsKeyArn: encryption.volume_kms_key_arn,
    }),
  };
}

/** The schema admits nothing but AMI ids and parameter paths. */
function images({ x86_64, arm64 }: NonNullable<PoolConfig["images"]>) {
  return compact({ x86_64: x86_64 as MachineImage | undefined, arm64: arm64 as MachineImage | undefined });
}

function warmPool({ min_size, max_prepared, state, reuse_on_scale_in }: NonNullable<PoolConfig["warm_pool"]>) {
  return {
    minSize: min_size,
    state,
    reuseOnScaleIn: reuse_on_scale_in,
    ...compact({ maxPreparedCapacity: max_prepared }),
  };
}

function schedule({ cron, time_zone, min, max, desired }: PoolConfig["schedules"][string]): ScheduledSize {
  return { cron, timeZone: time_zone, ...compact({ min, max, desired }) };
}
