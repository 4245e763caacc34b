import * as z from "zod/mini";
import type { ClusterAdapter, Surroundings } from "./cluster-adapter";
import { etcdCluster, etcdSettingsSchema } from "./etcd";
import { kafkaCluster, kafkaSettingsSchema } from "./kafka";
import { mongodbCluster, mongodbSettingsSchema } from "./mongodb";
import { patroniCluster, patroniSettingsSchema } from "./patroni";
import { zookeeperCluster, zookeeperSettingsSchema } from "./zookeeper";

/** The kinds of cluster that are known, each with its settings. */
export const clusterSettingsSchema = z.discriminatedUnion("kind", [
  etcdSettingsSchema,
  zookeeperSettingsSchema,
  kafkaSettingsSchema,
  mongodbSettingsSchema,
  patroniSettingsSchema,
]);
export type ClusterSettings = z.output<typeof clusterSettingsSchema>;

/** @throws Error when a file the settings name cannot be read, or the kind needs a channel and there is none. */
export function clusterAdapter(surroundings: Surroundings, settings: ClusterSettings): ClusterAdapter {
  switch (settings.kind) {
    case "etcd":
      return etcdCluster(surroundings, settings);
    case "zookeeper":
      return zookeeperCluster(surroundings, settings);
    case "kafka":
      return kafkaCluster(surroundings, settings);
    case "mongodb":
      return mongodbCluster(surroundings, settings);
    case "patroni":
      return patroniCluster(surroundings, settings);
  }
}
