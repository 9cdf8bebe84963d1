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
  const form = event.target.closest("form[data-autosubmit]");
  if (form && !event.target.closest("details") && event.target.value) form.requestSubmit();
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.choose[open]"))
    if (!open.contains(event.target)) open.open = false;
});

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

// After a swap the focus must not be lost: a review is read from its heading on.
document.addEventListener("htmx:after:swap", () => {
  watch();
  if (document.activeElement !== document.body) return;
  const heading = document.querySelector("#review h2, #calendar-title, #status-title");
  if (heading) heading.setAttribute("tabindex", "-1"), heading.focus({ preventScroll: true });
});
document.addEventListener("DOMContentLoaded", watch);
if (document.readyState !== "loading") watch();
