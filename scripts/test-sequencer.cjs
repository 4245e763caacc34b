const { default: Sequencer } = require("@jest/test-sequencer");
const { inTurns } = require("tsx/cjs/api").require("./test-tiers.ts", __filename);

/**
 * jest's own order, by how long a file took the last time, else by its size. Where nothing has been timed, as in a new clone,
 * size misleads: a test that starts Terraform is a small file. Then the tiers come first, in turns.
 */
module.exports = class extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    return sorted.some(({ duration }) => duration !== undefined) ? sorted : inTurns(sorted);
  }
};
