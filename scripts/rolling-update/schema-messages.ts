import { en } from "zod/locales";
import { config } from "zod/mini";

/** The small zod brings no sentences of its own; without these every mistake would read "Invalid input". */
config(en());
