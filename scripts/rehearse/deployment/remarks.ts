/** Of a deployment whose applies roll what they change. */
export const ROLLS_NOT = "Its applies roll nothing here: the rehearsal rolls, and watches.";
