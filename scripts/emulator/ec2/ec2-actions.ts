import type { AwsCalls } from "../aws-calls";
import { AwsError } from "../aws-error";
import type { AwsRequest, Correction } from "../correction";
import type { Faults } from "../faults";
import type { Machines } from "../machines";
import type { Regions } from "../regions";
import { mapTreesAt, type Tree, textAt, type Value } from "../tree";
import type { InstanceState } from "./ec2-rules";

const STATE_CODES: Readonly<Record<InstanceState, string>> = {
  pending: "0",
  running: "16",
  "shutting-down": "32",
  terminated: "48",
  stopping: "64",
  stopped: "80",
};

/** Actions on instances and volumes: whose rules are ours, whose records are the emulator's behind. */
export function ec2Actions(regions: Regions, aws: AwsCalls, machines: Machines, faults: Faults): Correction {
  const behind = (action: string, { region, parameters }: AwsRequest) => aws("ec2", region, action, parameters);
  const rulesOf = ({ region }: AwsRequest) => regions.of(region).instances.rules;
  const state = (request: AwsRequest, id: string): Tree | undefined => {
    const known = rulesOf(request).instances.get(id)?.seen(faults.staleMs())?.state;
    return known && { code: STATE_CODES[known], name: known };
  };

  return {
    service: "ec2",
    refuses: (action, request) => faults.refuse({ service: "ec2", action, ...request }),
    replies: {
      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html */
      RunInstances: ({ region, parameters }) => regions.of(region).instances.run(parameters),

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html */
      TerminateInstances: async (request) => {
        const rules = rulesOf(request);
        const ids = texts(request.parameters["InstanceId"]);
        await behind("DescribeInstances", { ...request, parameters: { InstanceId: ids } });
        const before = ids.map((id) => state(request, id));
        for (const id of ids) rules.terminate(id);
        return {
          instancesSet: ids.map((id, index) => ({
            instanceId: id,
            previousState: before[index] ?? {},
            currentState: state(request, id) ?? {},
          })),
        };
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RebootInstances.html */
      RebootInstances: async (request) => {
        for (const id of texts(request.parameters["InstanceId"])) {
          const machine = await regions.of(request.region).instances.machine(id);
          if (!machine) throw new AwsError("InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
          await machine.reboot();
        }
        return { return: "true" };
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html */
      GetConsoleOutput: async ({ region, parameters }) => {
        const instanceId = textAt(parameters, "InstanceId") ?? "";
        const output = await regions.of(region).instances.console(instanceId);
        return { instanceId, timestamp: new Date().toISOString(), output: Buffer.from(output).toString("base64") };
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html */
      CreateVolume: async (request) => {
        const made = await behind("CreateVolume", request);
        await machines.createVolume(textAt(made, "volumeId") ?? "", Number(textAt(made, "size")));
        return made;
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVolume.html */
      DeleteVolume: async (request) => {
        const volumeId = textAt(request.parameters, "VolumeId") ?? "";
        const known = rulesOf(request).volumes.get(volumeId)?.current;
        if (known?.state === "in-use") {
          throw new AwsError("VolumeInUse", `Volume ${volumeId} is currently attached to ${known.instanceId}`);
        }
        const answer = await behind("DeleteVolume", request);
        rulesOf(request).volumes.delete(volumeId);
        await machines.deleteVolume(volumeId);
        return answer;
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html */
      ModifyVolume: async (request) => {
        const answer = await behind("ModifyVolume", request);
        const sizeGiB = textAt(request.parameters, "Size");
        if (sizeGiB !== undefined) {
          await machines.growVolume(textAt(request.parameters, "VolumeId") ?? "", Number(sizeGiB));
        }
        return answer;
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html */
      AttachVolume: async (request) => {
        const [volumeId, instanceId] = [
          textAt(request.parameters, "VolumeId") ?? "",
          textAt(request.parameters, "InstanceId") ?? "",
        ];
        const { instances } = regions.of(request.region);
        await instances.learnVolume(volumeId);
        instances.rules.attach(volumeId, instanceId);
        try {
          const answer = await behind("AttachVolume", request);
          const plugged = instances.plug(volumeId, instanceId, textAt(request.parameters, "Device") ?? "");
          if (faults.attachingMs(volumeId) > 0) {
            plugged.catch(() => undefined);
            return { ...answer, status: "attaching" };
          }
          await plugged;
          return answer;
        } catch (error) {
          instances.rules.detach(volumeId);
          throw error;
        }
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html */
      DetachVolume: async (request) => {
        const volumeId = textAt(request.parameters, "VolumeId") ?? "";
        const { instances } = regions.of(request.region);
        await instances.learnVolume(volumeId);
        const { instanceId } = instances.rules.volumes.get(volumeId)?.current ?? {};
        if (instanceId === undefined) {
          throw new AwsError("IncorrectState", `Volume '${volumeId}' is in the 'available' state.`);
        }
        const machine = await instances.machine(instanceId);
        await machine?.detach(volumeId);
        const answer = await behind("DetachVolume", {
          ...request,
          parameters: { ...request.parameters, InstanceId: instanceId },
        });
        instances.rules.detach(volumeId);
        return answer;
      },

      /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkInterface.html */
      DeleteNetworkInterface: async (request) => {
        const id = textAt(request.parameters, "NetworkInterfaceId") ?? "";
        if (rulesOf(request).interfaces.get(id)?.current.status === "in-use") {
          throw new AwsError("InvalidParameterValue", `Network interface '${id}' is currently in use.`);
        }
        return behind("DeleteNetworkInterface", request);
      },
    },
    answers: {
      DescribeInstances: (result, request) =>
        mapTreesAt(result, "reservationSet", (reservation) =>
          mapTreesAt(reservation, "instancesSet", (instance) => {
            const known = state(request, textAt(instance, "instanceId") ?? "");
            return known ? { ...instance, instanceState: known } : instance;
          }),
        ),
      DescribeVolumes: (result, request) =>
        mapTreesAt(result, "volumeSet", (volume) => {
          const id = textAt(volume, "volumeId") ?? "";
          const used = rulesOf(request).volumes.get(id)?.current.state === "in-use" ? { status: "in-use" } : {};
          const shown = { ...volume, ...used };
          return regions.of(request.region).instances.attaching.has(id)
            ? mapTreesAt(shown, "attachmentSet", (attachment) => ({ ...attachment, status: "attaching" }))
            : shown;
        }),
      DescribeNetworkInterfaces: (result, request) =>
        mapTreesAt(result, "networkInterfaceSet", (card) => {
          const known = rulesOf(request).interfaces.get(textAt(card, "networkInterfaceId") ?? "")?.current;
          return known?.status === "in-use" ? { ...card, status: "in-use" } : card;
        }),
      DescribeInstanceStatus: (result, request) =>
        mapTreesAt(result, "instanceStatusSet", (status) => {
          const known = state(request, textAt(status, "instanceId") ?? "");
          return known ? { ...status, instanceState: known } : status;
        }),
    },
  };
}

function texts(value: Value | undefined): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}
