/** In place of picocolors: Systems Manager keeps what a roller says on a node, and shows it as it is. */
export default { red: String, yellow: String };
