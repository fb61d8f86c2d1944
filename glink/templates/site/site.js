// Makes a page better, never needed: copy buttons, filter by words, times as "3 min ago", and, when served, live.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("scripted");

  const ago = (time) => {
    const seconds = Math.max(0, (Date.now() - time) / 1000);
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]])
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
    return seconds < 10 ? "just now" : `${Math.floor(seconds / 10) * 10} s ago`;
  };
  const tellTimes = () => {
    for (const one of all("time")) {
      const at = Date.parse(one.dateTime);
      if (Number.isNaN(at) || at > Date.now() + 60000) continue;
      if (!one.title) one.title = one.dateTime;
      if (!one.closest(".events, .as-of")) one.textContent = ago(at);
    }
  };

  const addCopy = () => {
    if (!navigator.clipboard) return;
    for (const one of all(".command:not(:has(button))")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy: ${one.textContent}`);
      one.append(button);
    }
  };

  const filter = () => {
    const search = document.getElementById("search");
    if (!search) return;
    search.hidden = false;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of all(".filtered .row")) {
      const text = words.length ? row.textContent.toLowerCase() : "";
      row.classList.toggle("unfound", !words.every((word) => text.includes(word)));
    }
  };

  const openTarget = () => {
    const step = location.hash.startsWith("#step-") && document.getElementById(`open-${location.hash.slice(6)}`);
    if (step) step.open = true;
  };

  // What fails, waits for somebody or runs is in view from the start.
  const showWorst = (frame, bad, busy) => {
    const worst = frame && (frame.querySelector(bad) || frame.querySelector(busy));
    if (!worst) return;
    const box = worst.getBoundingClientRect(), around = frame.getBoundingClientRect();
    frame.scrollLeft += box.left - around.left - (around.width - box.width) / 2;
    frame.scrollTop += box.top - around.top - (around.height - box.height) / 2;
  };

  const dress = () => { addCopy(); filter(); tellTimes(); };

  document.addEventListener("input", (event) => { if (event.target.id === "search") filter(); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".command button");
    if (!button) return;
    navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    }, () => {});
  });
  addEventListener("hashchange", openTarget);
  dress();
  openTarget();
  showWorst(document.getElementById("canvas"), ".s-failed, .s-person", ".s-running");
  showWorst(document.getElementById("gantt"), "li:has(.took .t-failed)", "li:has(.took .t-running)");
  setInterval(tellTimes, 10000);

  // Live: the stream says that something happened; the page is fetched anew, and its main part takes the place of the old one, which a reader hardly notices.
  const stream = document.body.dataset.events;
  if (!stream || !location.protocol.startsWith("http")) return;
  const live = document.getElementById("live");
  const kept = ["canvas", "gantt"];
  let waiting = false, busy = false, again = false, took = 0;

  const keep = (main) => ({
    open: all("details[open]", main).map((one) => one.id),
    checked: all("input:checked", main).map((one) => one.id),
    search: document.getElementById("search")?.value ?? "",
    focus: document.activeElement?.closest?.("main") ? path(document.activeElement) : null,
    anchor: anchor(main),
    scroll: kept.map((id) => document.getElementById(id)).map((one) => one && [one.scrollLeft, one.scrollTop]),
  });
  // The first row or section in view, and where: whatever grows above it, it stays there.
  const anchor = (main) => {
    const one = all("tr.row, section[id]", main).find((one) => one.getBoundingClientRect().top > 50 && one.checkVisibility());
    return one ? [one.id, one.getBoundingClientRect().top] : null;
  };
  // An element by its nearest id and its place among what can have the focus below that.
  const stops = "a, button, input, summary, [tabindex]";
  const path = (one) => {
    const base = one.closest("[id]");
    return one.id ? [one.id, -1] : [base.id, all(stops, base).indexOf(one)];
  };
  const giveBack = (state) => {
    for (const id of state.open) { const one = document.getElementById(id); if (one) one.open = true; }
    for (const id of state.checked) { const one = document.getElementById(id); if (one) one.checked = true; }
    const search = document.getElementById("search");
    if (search && search.value !== state.search) search.value = state.search;
    filter();
    kept.forEach((id, at) => { const one = document.getElementById(id); if (one && state.scroll[at]) [one.scrollLeft, one.scrollTop] = state.scroll[at]; });
    const stays = state.anchor && document.getElementById(state.anchor[0]);
    if (stays && scrollY > 0) scrollBy(0, stays.getBoundingClientRect().top - state.anchor[1]);
    if (!state.focus) return;
    const base = document.getElementById(state.focus[0]);
    const one = base && (state.focus[1] < 0 ? base : all(stops, base)[state.focus[1]]);
    if (one && one !== document.activeElement) one.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (document.hidden) { again = true; return; }
    busy = true;
    again = false;
    const began = performance.now();
    try {
      const answer = await fetch(location.pathname, { credentials: "same-origin", cache: "no-store" });
      if (!answer.ok) { live.classList.add("lost"); live.textContent = answer.status === 401 ? "signed out" : "not live"; return; }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = document.getElementById("main"), next = fresh.getElementById("main");
      if (!next) return;
      const state = keep(main);
      main.replaceWith(document.adoptNode(next));
      document.title = fresh.title;
      document.querySelector(".as-of").replaceWith(document.adoptNode(fresh.querySelector(".as-of")));
      dress();
      giveBack(state);
      took = performance.now() - began;
    } catch { live.classList.add("lost"); live.textContent = "not live"; } finally {
      busy = false;
      if (again) soon();
    }
  };
  const soon = () => {
    if (busy) { again = true; return; }
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; refresh(); }, Math.max(700, 5 * took));
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) soon(); });

  const query = new URLSearchParams({ follow: "1", since: document.getElementById("main").dataset.seq });
  if (document.body.dataset.project) query.set("project", document.body.dataset.project);
  const events = new EventSource(`${stream}?${query}`);
  live.hidden = false;
  events.onopen = () => { live.classList.remove("lost"); live.textContent = "live"; };
  events.onmessage = soon;
  events.onerror = () => { live.classList.add("lost"); live.textContent = events.readyState === EventSource.CLOSED ? "not live" : "reconnecting"; };
})();
