// What every page needs of a script; each page works whole without it.
"use strict";

document.documentElement.classList.add("js");

// A form that makes something is sent once; coming back to the page arms it again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-once") || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

// Choosing a date, a pool or a way of sharing shows it; ticking packages waits for its button.
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form && form.hasAttribute("data-autosubmit") && !event.target.closest("details") && (event.target.value || event.target.name === "timezone")) form.requestSubmit();
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.choose[open]"))
    if (!open.contains(event.target)) open.open = false;
});

// The reader's own zone is one of those that times may be said in, too; the server cannot know it.
const zones = () => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const select of document.querySelectorAll("select[data-zones]"))
    if (own && own !== select.dataset.zones && ![...select.options].some((option) => option.value === own))
      select.add(new Option(`${select.dataset.also} ${own}`, own));
};

// The state of a booking looks again by itself when something is due, and not before.
let due;
const watch = () => {
  clearTimeout(due);
  const status = document.querySelector("[data-refresh-at]");
  if (!status) return;
  const wait = new Date(status.dataset.refreshAt) - new Date(status.dataset.now);
  const day = 24 * 3600 * 1000;
  due = setTimeout(() => htmx.trigger(status, "refresh"), Math.min(Math.max(wait, 1000), day));
};

// What is left is counted down between two looks, by the clock of the server, in the language of the page.
const language = document.documentElement.lang;
const counted = ["day", "hour", "minute"].map((unit) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long", useGrouping: false }));
const countDown = () => {
  const status = document.querySelector("[data-now]");
  if (!status) return;
  if (status.dataset.now !== countDown.seen) {
    countDown.seen = status.dataset.now;
    countDown.ahead = new Date(countDown.seen) - Date.now();
  }
  for (const left of document.querySelectorAll("[data-until]")) {
    const minutes = Math.max(0, Math.round((new Date(left.dataset.until) - Date.now() - countDown.ahead) / 60000));
    const amounts = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), minutes % 60];
    const said = amounts.map((n, i) => n && counted[i].format(n)).filter(Boolean);
    left.textContent = said.slice(0, 2).join(" ") || counted[2].format(0);
  }
};
setInterval(countDown, 5000);

// After a swap the focus must not be lost: a review is read from its heading on.
document.addEventListener("htmx:after:swap", () => {
  watch();
  zones();
  if (document.activeElement !== document.body) return;
  const heading = document.querySelector("#review h2, #calendar-title, #status-title");
  if (heading) heading.setAttribute("tabindex", "-1"), heading.focus({ preventScroll: true });
});
document.addEventListener("DOMContentLoaded", watch);
if (document.readyState !== "loading") watch();
document.addEventListener("DOMContentLoaded", zones);
