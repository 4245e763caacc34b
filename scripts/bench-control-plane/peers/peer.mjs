/**
 * Another project's queue in a process of its own. Its arguments are the module that speaks to it and how many clients it has; then each
 * message names what it shall do, and is answered when that is done. An error ends it, on stderr.
 */
const [module, clients] = process.argv.slice(2);
const { open } = await import(`./${module}.mjs`);
const queue = await open(process.env.DATABASE_URL, Number(clients));

process.on("message", async ([what, ...details]) => process.send([await queue[what](...details)]));
process.once("disconnect", () => queue.stop());
process.send("open");
