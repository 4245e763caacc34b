/** How long after an answer an open page asks for itself again: what it shows is at most two seconds old, the answer's way included. */
export const RENEWAL_MS = 1_000;

/**
 * Renews an open page in place, so that whoever reads it keeps the place, the selection and the focus, and may pause it
 * ({@link https://www.w3.org/WAI/WCAG22/Understanding/pause-stop-hide.html WCAG 2.2.2}). A page that gets no answer says so:
 * what it shows is old.
 */
export const STATUS_SCRIPT = `"use strict";
const PERIOD_MS = ${RENEWAL_MS};
const ANSWER_MS = 10_000;
const notice = document.querySelector("[role=status]");
const button = document.querySelector("button");
let answeredAt = Date.now();

const liveParts = (page) => [...page.querySelectorAll("[data-live]")];
const idsOf = (page) => liveParts(page).map(({ id }) => id).join();

function show(next) {
  document.title = next.title;
  if (idsOf(document) !== idsOf(next)) document.querySelector("main").replaceWith(next.querySelector("main"));
  for (const part of liveParts(next)) {
    const shown = document.getElementById(part.id);
    if (shown.innerHTML !== part.innerHTML) shown.innerHTML = part.innerHTML;
  }
}

async function renew() {
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(ANSWER_MS) });
    if (!answer.ok) throw new Error("it answers " + answer.status);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    answeredAt = Date.now();
    notice.textContent = "";
  } catch ({ message }) {
    const seconds = Math.round((Date.now() - answeredAt) / 1000);
    notice.textContent = "What you see is " + seconds + " s old: the control plane cannot be asked (" + message + ").";
    document.title = "No answer – Holdfast";
  }
}

let isPaused = false;
button.hidden = false;
button.addEventListener("click", () => {
  isPaused = !isPaused;
  button.textContent = isPaused ? "Resume" : "Pause";
});

void (async () => {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    if (!isPaused) await renew();
  }
})();
`;
