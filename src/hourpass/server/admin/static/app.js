// Everything here only makes quicker what works without it: forms are forms, links are links.
"use strict";

document.documentElement.classList.add("js");

// --- times in the reader's zone ---------------------------------------------------------------

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

function localTimes(within) {
  for (const time of within.querySelectorAll("time[data-time]")) {
    const moment = new Date(time.dateTime);
    const local = exact.format(moment);
    if (time.dataset.time === "exact") time.textContent = local;
    else if (time.dataset.time === "clock") time.textContent = clock.format(moment);
    else time.title = `${local} · ${time.title}`;
    delete time.dataset.time;
  }
  for (const zone of within.querySelectorAll("[data-zone]")) {
    zone.textContent = `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  }
}

// --- copying ----------------------------------------------------------------------------------

function toast(text) {
  const note = document.createElement("p");
  note.className = "toast";
  note.setAttribute("role", "status");
  document.body.append(note);
  note.textContent = text;
  setTimeout(() => note.remove(), 2500);
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied");
    button.dispatchEvent(new CustomEvent("copied", { bubbles: true }));
  } catch {
    toast("Your browser did not let us copy; select the text instead");
  }
}

// --- menus ------------------------------------------------------------------------------------

function placePopover(event) {
  if (event.newState !== "open") return;
  const popover = event.target;
  const button = document.querySelector(`[popovertarget="${popover.id}"]`);
  if (!button) return;
  const at = button.getBoundingClientRect();
  const left = Math.min(at.right - popover.offsetWidth, innerWidth - popover.offsetWidth - 8);
  const below = at.bottom + 4;
  const fits = below + popover.offsetHeight < innerHeight;
  popover.style.left = `${Math.max(8, left)}px`;
  popover.style.top = `${fits ? below : Math.max(8, at.top - popover.offsetHeight - 4)}px`;
}

function moveInMenu(event) {
  const menu = event.target.closest(".menu");
  if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
  const links = [...menu.querySelectorAll("a, button")];
  const here = links.indexOf(document.activeElement);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
  links[(to + links.length) % links.length].focus();
  event.preventDefault();
}

// --- dialogs: the page that asks, shown above the page one is on --------------------------------

async function openDialog(link) {
  let ask = null;
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.ok) ask = page.querySelector(".ask");
  } catch {
    // The server is away: the browser's own page says so.
  }
  if (!ask) {
    location.href = link.href;
    return;
  }
  const dialog = document.createElement("dialog");
  const title = ask.querySelector("h1");
  title.id = "dialog-title";
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.append(document.importNode(ask, true));
  document.body.append(dialog);
  for (const cancel of dialog.querySelectorAll("[data-cancel]")) {
    cancel.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.close();
    });
  }
  dialog.addEventListener("close", () => {
    dialog.remove();
    link.closest("[popover]")?.hidePopover();
    document.querySelector(`[popovertarget="${link.closest("[popover]")?.id}"]`)?.focus();
  });
  const field = document.getElementById(link.dataset.into);
  if (field) dialog.addEventListener("click", (event) => pickInto(field, dialog, event));
  enhance(dialog);
  dialog.showModal();
}

// What is picked goes into the form one is at, which keeps what was typed into it.
function pickInto(field, dialog, event) {
  const { pick, name } = event.target.closest("[data-pick]")?.dataset ?? {};
  if (!pick) return;
  event.preventDefault();
  if (![...field.options].some((option) => option.value === pick)) {
    field.add(new Option(name, pick));
  }
  field.value = pick;
  dialog.close();
  field.focus();
}

// --- lists that follow what is typed -----------------------------------------------------------

function live(form) {
  const results = document.getElementById(form.dataset.live);
  let timer;
  let running;
  const update = async () => {
    running?.abort();
    running = new AbortController();
    const query = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...query]) if (!value) query.delete(name);
    const url = query.size ? `${form.action}?${query}` : form.action;
    results.classList.add("busy");
    try {
      const answer = await fetch(url, { signal: running.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(results.id);
      if (!fresh) {
        location.href = url;
        return;
      }
      results.replaceChildren(...document.importNode(fresh, true).childNodes);
      if (!form.closest("dialog")) history.replaceState(null, "", url);
      enhance(results);
      results.classList.remove("busy");
    } catch (fault) {
      if (fault.name !== "AbortError") form.submit();
    }
  };
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(update, event.target.type === "search" ? 200 : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    update();
  });
}

// --- a secret that is shown this once ----------------------------------------------------------

function secret(box) {
  const text = box.querySelector("[data-secret]");
  const shown = text.textContent;
  const toggle = box.querySelector("[data-reveal]");
  const mask = () => {
    text.textContent = `${shown.slice(0, 4)}${"•".repeat(24)}`;
    toggle.textContent = "Reveal";
  };
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    if (toggle.textContent === "Hide") return mask();
    text.textContent = shown;
    toggle.textContent = "Hide";
  });
  mask();
  let kept = false;
  const leaving = (event) => {
    if (!kept) event.preventDefault();
  };
  addEventListener("beforeunload", leaving);
  box.addEventListener("copied", (event) => {
    if ("secretCopy" in event.target.dataset) kept = true;
  });
  for (const done of document.querySelectorAll("[data-stored]")) {
    done.addEventListener("click", (event) => {
      kept = true;
      // In the history the page gives its place up: going back to it would show nothing.
      event.preventDefault();
      location.replace(done.href);
    });
  }
}

// --- boxes of scopes ---------------------------------------------------------------------------

function scopes(set) {
  const filter = set.querySelector("[data-filter]");
  filter.hidden = false;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const row of set.querySelectorAll("[data-scope]")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
  for (const all of set.querySelectorAll("[data-all]")) {
    const boxes = () => [
      ...all.closest("[data-group]").querySelectorAll("[data-scope]:not([hidden]) input"),
    ];
    all.hidden = false;
    all.addEventListener("click", () => {
      const on = boxes().some((box) => !box.checked);
      for (const box of boxes()) box.checked = on;
      set.dispatchEvent(new Event("change"));
    });
  }
  const hint = set.querySelector("[data-chosen]");
  const say = () => {
    const chosen = [...set.querySelectorAll("input[name=scope]:checked")].map((box) => box.value);
    hint.textContent = chosen.length ? `${chosen.length} chosen: ${chosen.join(", ")}` : "";
  };
  set.addEventListener("change", say);
  say();
}

function expiry(input) {
  const shown = document.getElementById(input.dataset.expiry);
  const say = () => {
    const days = Number(input.value);
    shown.textContent = input.value
      ? days >= 1 && days <= 3650
        ? `Expires on ${exact.format(new Date(Date.now() + days * 864e5))}`
        : "1 to 3,650 days"
      : "Never expires";
  };
  input.addEventListener("input", say);
  say();
}

// --- one-time links: the secret part is behind the #, which no server sees ---------------------

function link(form) {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  form.elements.token.value = token;
  form.requestSubmit();
}

// --- what was typed into a form that was not done ----------------------------------------------

// The session had ended, or the database was away: it waits in this tab for the form's page.
const TYPED = "hourpass-typed";
const person = () => document.querySelector(".person")?.textContent;

function fields(form) {
  return [...form.elements].filter((each) => each.name && each.type !== "hidden");
}

function keep(form) {
  const typed = fields(form)
    .filter((field) => field.type !== "checkbox" || field.checked)
    .map((field) => [field.name, field.value]);
  sessionStorage.setItem(TYPED, JSON.stringify({ to: form.action, by: person(), typed }));
}

function giveBack() {
  const kept = JSON.parse(sessionStorage.getItem(TYPED));
  if (!kept || !person()) return; // a page on the way, such as that of signing in
  sessionStorage.removeItem(TYPED);
  const form = document.querySelector("form[data-keep]");
  // A form that comes back with a word about what is wrong has everything already.
  if (form?.action !== kept.to || person() !== kept.by || form.matches("[role=alert] ~ *")) return;
  for (const field of fields(form)) {
    const values = kept.typed.filter(([name]) => name === field.name).map(([, value]) => value);
    if (field.type === "checkbox") field.checked = values.includes(field.value);
    else if (values.length) field.value = values[0];
  }
  const note = document.createElement("div");
  note.className = "note good space";
  note.setAttribute("role", "status");
  form.before(note);
  note.textContent = "What you typed is here again. Look it over and send it.";
}

// --- everything, for a page or a part of one ---------------------------------------------------

function enhance(within) {
  localTimes(within);
  for (const form of within.querySelectorAll("form[data-live]")) live(form);
  for (const box of within.querySelectorAll("[data-shown-once]")) secret(box);
  for (const set of within.querySelectorAll("[data-scopes]")) scopes(set);
  for (const input of within.querySelectorAll("[data-expiry]")) expiry(input);
  for (const form of within.querySelectorAll("form[data-link]")) link(form);
  for (const popover of within.querySelectorAll("[popover]")) {
    popover.addEventListener("toggle", placePopover);
  }
}

document.addEventListener("click", (event) => {
  const copying = event.target.closest("[data-copy]");
  if (copying) copy(copying);
  const asking = event.target.closest("a[data-dialog]");
  if (asking && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    openDialog(asking);
  }
});
document.addEventListener("keydown", moveInMenu);
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});
// One click is one deed; after a download one is still here, and may want another.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post" || "download" in event.target.dataset) return;
  if ("keep" in event.target.dataset) keep(event.target);
  for (const button of event.target.querySelectorAll("button:not([type=button])")) {
    setTimeout(() => (button.disabled = true));
  }
});
// Another link in the same tab: the browser loads nothing when only what is behind the # differs.
addEventListener("hashchange", () => {
  const form = document.querySelector("form[data-link]");
  if (form) link(form);
});
// A page from the back-forward cache may show what is no longer so.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
giveBack();
enhance(document);
document.querySelector("[aria-invalid=true]")?.focus();
document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
