import { mongodbCluster, mongodbSettingsSchema } from "../../../../scripts/rolling-update/clusters/mongodb";
import { conforms } from "../../../support/adapter-conformance";
import { fakeCluster } from "../../../support/fake-members";
import { CONNECTION_FILE, runMongosh } from "../../../support/fake-mongodb";

describe("the MongoDB adapter on a shell that runs its scripts", () => {
  conforms(async () =>
    fakeCluster(runMongosh, (surroundings, member) => {
      const settings = mongodbSettingsSchema.parse({ kind: "mongodb", connectionFile: CONNECTION_FILE });
      return mongodbCluster(surroundings, { ...settings, ...member });
    }),
  );
});
