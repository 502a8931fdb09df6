/* Keeps the page up to date while its study runs. */
(() => {
  "use strict";
  const bar = document.getElementById("live");
  const [text, line] = [bar.querySelector("p"), bar.querySelector("progress")];
  const source = new EventSource(`events?since=${encodeURIComponent(bar.dataset.stamp)}`);
  let busy = false;
  let again = false;

  async function update() {
    if (busy) { again = true; return; }
    busy = true;
    do {
      again = false;
      const answer = await fetch("state");
      const state = await answer.text();
      if (state) Report.take(new DOMParser().parseFromString(state, "text/html"));
    } while (again);
    busy = false;
  }

  function tell(progress) {
    bar.hidden = Boolean(progress.idle);
    if (!progress.text) return;
    text.textContent = `Running · ${progress.text}`;
    line.max = progress.total || 1;
    line.value = progress.done || 0;
  }

  source.addEventListener("progress", (event) => tell(JSON.parse(event.data)));
  source.addEventListener("changed", () => update().catch(() => { busy = false; }));
  source.addEventListener("end", () => { source.close(); text.textContent = "Finished: this is the study’s last state."; });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) text.textContent = "The program that served this page has ended.";
    else text.textContent = "Not connected: this is the last state that was seen.";
  });
})();
