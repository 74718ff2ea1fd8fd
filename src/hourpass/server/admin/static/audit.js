// The audit log as it happens. Without scripts the page is the log up to now.
"use strict";

const MOST_ROWS = 200;
let source = null;

function stop(words) {
  source?.close();
  source = null;
  const button = document.querySelector("[data-tail]");
  if (button) {
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Live";
  }
  const says = document.querySelector("[data-tail-says]");
  if (says) says.textContent = words;
}

function add(body, news) {
  const page = new DOMParser().parseFromString(`<table>${news.rows}</table>`, "text/html");
  const fresh = [...page.querySelectorAll("tr")].filter(
    (row) => !body.querySelector(`tr[data-event="${row.dataset.event}"]`),
  );
  body.prepend(...fresh.map((row) => document.importNode(row, true)));
  while (body.rows.length > MOST_ROWS) body.rows[body.rows.length - 1].remove();
  localTimes(body);
  document.querySelector("[data-tail-table]").hidden = false;
  document.querySelector("[data-tail-empty]")?.remove();
}

function start(button) {
  const body = document.querySelector("[data-tail-table] tbody");
  const says = document.querySelector("[data-tail-says]");
  button.setAttribute("aria-pressed", "true");
  button.textContent = "Live: on";
  says.textContent = "New events appear at the top as they happen.";
  source = new EventSource(button.dataset.tail);
  source.addEventListener("message", (event) => {
    if (!body.isConnected) return stop("");
    const news = JSON.parse(event.data);
    add(body, news);
    if (news.skipped) says.textContent = "More is happening than fits here; the newest is shown.";
  });
  source.addEventListener("over", () => stop("You are signed out. Sign in again to go on."));
  source.addEventListener("error", () => {
    if (source?.readyState === EventSource.CLOSED) {
      stop("Live is not to be had just now. Try again in a minute.");
    }
  });
}

function offer() {
  for (const button of document.querySelectorAll("[data-tail][hidden]")) {
    button.hidden = false;
    if (source) stop(""); // the filters changed, and with them what to follow
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tail]");
  if (!button) return;
  if (source) stop("");
  else start(button);
});
addEventListener("pagehide", () => stop(""));
new MutationObserver(offer).observe(document.getElementById("results"), { childList: true });
offer();
