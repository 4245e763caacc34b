/** On every container, with the lab's id: what is removed when the lab ends. */
export const LAB_LABEL = "holdfast.lab";
