/* Keeps the queue and the studies on the start page up to date. */
(() => {
  "use strict";
  const state = document.getElementById("state");
  let last = "";

  async function look() {
    if (document.hidden || state.contains(document.activeElement)) return;
    const answer = await fetch("/parts");
    if (!answer.ok) return;
    const text = await answer.text();
    if (text === last) return;
    last = text;
    state.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
  }

  // What was wrong with a form is read first, wherever the page begins.
  const problem = document.getElementById("problem");
  problem?.closest("section").scrollIntoView();
  problem?.focus({ preventScroll: true });
  setInterval(() => look().catch(() => {}), 2000);
})();
