/** Fields of a process's or a thread's stat in /proc from its state on, the third: the name before it may hold anything. See proc_pid_stat(5). */
export const fieldsFromState = (stat: string): string[] => stat.slice(stat.lastIndexOf(")") + 2).split(" ");
