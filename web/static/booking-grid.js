// Choosing cells of the calendar with mouse, touch and keyboard. Every cell is a link that works without
// this script; the form beside the grid is what is sent. Times are texts of the server: no arithmetic here.
"use strict";

(() => {
  let chosen = null; // {package, start, end, anchor, open}
  let drag = null;
  let home = null; // where the focus was when the calendar moved to another time

  const grid = () => document.querySelector("table.grid");
  const form = () => document.getElementById("book");
  const cellOf = (node) => node.closest && node.closest("td.c");
  const focusOf = (cell) => cell.querySelector("a") || cell;
  const rowsOf = (table) => [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => row.querySelector("td.c"));
  const cellsOf = (row) => [...row.querySelectorAll("td.c")];
  const packageOf = (cell) => cell.parentElement.dataset.package;
  const isHours = () => grid().classList.contains("v-hours");
  const isTurned = () => getComputedStyle(grid()).display === "grid";

  function columnOf(cell) {
    let column = 0;
    for (const other of cellsOf(cell.parentElement)) {
      if (other === cell) return column;
      column += other.colSpan;
    }
    return column;
  }

  function cellAt(row, column) {
    let reached = 0;
    for (const cell of cellsOf(row)) {
      reached += cell.colSpan;
      if (column < reached) return cell;
    }
    return cellsOf(row).at(-1);
  }

  // One tab stop: the cell that was left, else the first of what is chosen, else the first that can be.
  function rove(to) {
    const table = grid();
    if (!table) return;
    for (const row of rowsOf(table)) for (const cell of cellsOf(row)) focusOf(cell).tabIndex = -1;
    const cell =
      to || table.querySelector("td[aria-selected=true]") || table.querySelector("td.c[data-s]") || table.querySelector("td.c");
    if (cell) focusOf(cell).tabIndex = 0;
  }

  function focus(cell) {
    rove(cell);
    focusOf(cell).focus();
  }

  // The hour of a run under the pointer; elsewhere the cell itself.
  function spanAt(cell, x) {
    const whole = { start: cell.dataset.s, end: cell.dataset.e };
    if (!isHours() || cell.colSpan === 1 || x === undefined) return whole;
    const [day, first] = whole.start.split("T");
    const head = grid().querySelector(`th[data-day="${day}"]`);
    const hours = head.dataset.hours.split(" ").concat("24:00");
    const box = cell.getBoundingClientRect();
    const step = Math.min(cell.colSpan - 1, Math.max(0, Math.floor(((x - box.left) / box.width) * cell.colSpan)));
    const at = hours.indexOf(first) + step;
    return { start: `${day}T${hours[at]}`, end: `${day}T${hours[at + 1]}` };
  }

  const least = (a, b) => (a < b ? a : b);
  const most = (a, b) => (a > b ? a : b);

  function choose(name, from, to, open) {
    chosen = { package: name, anchor: from, start: least(from.start, to.start), end: most(from.end, to.end), open };
    show();
  }

  // A click opens a range, the next one in the same row closes it.
  function click(cell, span, extend) {
    const name = packageOf(cell);
    const joins = chosen && chosen.package === name && (chosen.open || extend);
    if (joins) choose(name, chosen.anchor, span, extend);
    else choose(name, span, span, true);
    rove(cell);
    review();
  }

  function clear() {
    chosen = null;
    show();
    const review = document.getElementById("review");
    if (review) review.replaceChildren();
  }

  function show() {
    const table = grid();
    if (!table) return;
    for (const cell of table.querySelectorAll("td[aria-selected]")) cell.removeAttribute("aria-selected");
    for (const old of document.querySelectorAll(".chosen-span")) old.remove();
    if (!chosen) return;
    for (const row of rowsOf(table)) {
      if (row.dataset.package !== chosen.package) continue;
      const inside = cellsOf(row).filter((c) => c.dataset.s && c.dataset.s < chosen.end && chosen.start < c.dataset.e);
      if (isHours()) draw(row);
      for (const cell of inside) cell.setAttribute("aria-selected", "true");
    }
    fill();
  }

  // Over runs, what is chosen is drawn on top: a run may be longer than the hours that were meant.
  function draw(row) {
    let column = 0;
    let first = null;
    let last = null;
    for (const head of grid().querySelectorAll("th[data-day]")) {
      const hours = head.dataset.hours.split(" ");
      hours.forEach((hour, index) => {
        const start = `${head.dataset.day}T${hour}`;
        const end = `${head.dataset.day}T${hours[index + 1] || "24:00"}`;
        if (start >= chosen.start && first === null) first = column + index;
        if (end <= chosen.end) last = column + index + 1;
      });
      column += hours.length;
    }
    if (first === null || last === null || last <= first) return;
    const frame = grid().parentElement;
    const cells = cellsOf(row);
    const left = cells[0].getBoundingClientRect().left;
    const width = cells.at(-1).getBoundingClientRect().right - left;
    const box = document.createElement("div");
    box.className = "chosen-span";
    const origin = frame.getBoundingClientRect();
    box.style.left = `${left - origin.left + frame.scrollLeft - frame.clientLeft + (first / column) * width}px`;
    box.style.width = `${((last - first) / column) * width}px`;
    box.style.top = `${cells[0].getBoundingClientRect().top - origin.top - frame.clientTop}px`;
    box.style.height = `${cells[0].getBoundingClientRect().height}px`;
    frame.append(box);
  }

  function fill() {
    const fields = form().elements;
    if (fields.package && [...fields.package.options].some((option) => option.value === chosen.package))
      fields.package.value = chosen.package;
    const repeats = fields.repeat && fields.repeat.value !== "once";
    for (const [which, value] of [["from", chosen.start], ["until", chosen.end]]) {
      const [day, hour] = value.split("T");
      if (!(which === "until" && repeats)) setDay(fields, which, day, hour);
    }
    const said = document.getElementById("chosen");
    if (said) said.textContent = `${chosen.package}: ${chosen.start.replace("T", " ")} – ${chosen.end.replace("T", " ")}`;
  }

  // A day on which clocks change has other hours: those are asked for.
  function setDay(fields, which, day, hour) {
    const date = fields[`${which}_date`];
    const select = fields[`${which}_hour`];
    const other = date.value !== day;
    date.value = day;
    if (!select || !select.options) return;
    const usual = select.options.length === 24 && ![...select.options].some((option) => option.value.includes("/"));
    const known = [...select.options].some((option) => option.value === hour);
    // Until the hours of that day are there, the one that was meant stands in for itself.
    if (!known) select.add(new Option(hour, hour));
    select.value = hour;
    select.dataset.wanted = hour;
    if (other && !(usual && known)) htmx.trigger(date, "change");
  }

  function review() {
    if (form().hasAttribute("hx-get") && form().reportValidity()) form().requestSubmit();
  }

  function step(cell, rows, columns) {
    const table = grid();
    const all = rowsOf(table);
    const row = all.indexOf(cell.parentElement) + rows;
    if (row < 0 || row >= all.length) return null;
    if (!columns) return cellAt(all[row], columnOf(cell));
    const cells = cellsOf(all[row]);
    return cells[cells.indexOf(cell) + columns] || null;
  }

  function jump(cell, columns) {
    const width = cellsOf(cell.parentElement).reduce((sum, other) => sum + other.colSpan, 0);
    const target = columnOf(cell) + columns;
    if (target >= 0 && target < width) return cellAt(cell.parentElement, target);
    home = { row: rowsOf(grid()).indexOf(cell.parentElement), column: (target + width) % width };
    document.querySelector(`#calendar a[rel=${columns < 0 ? "prev" : "next"}]`).click();
    return null;
  }

  function moved(event, cell) {
    const cells = cellsOf(cell.parentElement);
    const rows = rowsOf(grid());
    const turned = isTurned();
    const across = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
    const inTime = turned ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
    if (across) return inTime.includes(event.key) ? step(cell, 0, across) : step(cell, across, 0);
    if (event.key === "Home") return event.ctrlKey ? cellsOf(rows[0])[0] : cells[0];
    if (event.key === "End") return event.ctrlKey ? cellsOf(rows.at(-1)).at(-1) : cells.at(-1);
    const page = isHours() || grid().classList.contains("v-day") ? 24 : 7;
    if (event.key === "PageUp") return jump(cell, -page);
    if (event.key === "PageDown") return jump(cell, page);
    return undefined;
  }

  function extend(from, to) {
    if (!from.dataset.s || !to.dataset.s || packageOf(from) !== packageOf(to)) return;
    const begin = chosen && chosen.package === packageOf(from) ? chosen.anchor : spanAt(from);
    choose(packageOf(from), begin, spanAt(to), false);
  }

  function key(event) {
    const cell = cellOf(event.target);
    if (!cell || !cell.closest("table.grid") || event.altKey || event.metaKey) return;
    if (event.key === "Escape") return clear();
    if (event.key === " " && cell.dataset.s) {
      event.preventDefault();
      return click(cell, spanAt(cell), false);
    }
    if (event.key === "Enter" && cell.dataset.s) {
      event.preventDefault();
      if (!chosen || chosen.package !== packageOf(cell)) choose(packageOf(cell), spanAt(cell), spanAt(cell), false);
      form().dataset.byKey = "yes";
      return review();
    }
    const to = moved(event, cell);
    if (to === undefined) return;
    event.preventDefault();
    if (!to) return;
    if (event.shiftKey) extend(cell, to);
    focus(to);
  }

  document.addEventListener("keydown", key);

  document.addEventListener("change", (event) => {
    if (event.target.matches("#from_hour, #until_hour")) event.target.dataset.wanted = event.target.value;
  });

  document.addEventListener("click", (event) => {
    const cell = cellOf(event.target);
    if (!cell || !cell.dataset.s || !cell.closest("table.grid") || event.ctrlKey || event.metaKey || event.button) return;
    event.preventDefault();
    if (drag && drag.moved) return;
    // A click made by the keyboard has no place.
    click(cell, spanAt(cell, event.detail ? event.clientX : undefined), event.shiftKey);
  });

  // Dragging is for the mouse: a finger that moves scrolls.
  document.addEventListener("pointerdown", (event) => {
    const cell = cellOf(event.target);
    drag = null;
    if (event.pointerType !== "mouse" || event.button || !cell || !cell.dataset.s || event.shiftKey) return;
    drag = { cell, x: event.clientX, span: spanAt(cell, event.clientX), moved: false };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag || !(event.buttons & 1)) return;
    if (!drag.moved && Math.abs(event.clientX - drag.x) < 5) return;
    const under = document.elementFromPoint(event.clientX, event.clientY);
    const cell = under && cellOf(under);
    if (!cell || !cell.dataset.s || packageOf(cell) !== packageOf(drag.cell)) return;
    if (cell === drag.cell && !drag.moved && !isHours()) return;
    drag.moved = true;
    choose(packageOf(cell), drag.span, spanAt(cell, event.clientX), false);
  });
  document.addEventListener("pointerup", () => {
    if (drag && drag.moved) review();
    setTimeout(() => (drag = null));
  });
  document.addEventListener("dragstart", (event) => {
    if (cellOf(event.target)) event.preventDefault();
  });

  function begin() {
    if (!grid()) return;
    const selected = grid().querySelector("td[aria-selected=true]");
    if (selected && !chosen) {
      const cells = [...grid().querySelectorAll("td[aria-selected=true][data-s]")];
      if (cells.length)
        chosen = {
          package: packageOf(cells[0]),
          anchor: spanAt(cells[0]),
          start: cells[0].dataset.s,
          end: cells.at(-1).dataset.e,
          open: cells.length === 1,
        };
    }
    for (const cell of grid().querySelectorAll("td.c")) if (!cell.querySelector("a")) cell.tabIndex = -1;
    rove();
  }

  document.addEventListener("htmx:after:swap", (event) => {
    // The hours of another date have come: what was chosen meanwhile stays chosen, if that date has it.
    for (const select of document.querySelectorAll("select[data-wanted]"))
      if ([...select.options].some((option) => option.value === select.dataset.wanted)) select.value = select.dataset.wanted;
    if (!grid()) return;
    const active = document.activeElement && cellOf(document.activeElement);
    begin();
    if (chosen) show();
    if (active) rove(active);
    if (home) {
      const row = rowsOf(grid())[home.row];
      if (row) focus(cellAt(row, home.column));
      home = null;
    }
    const found = document.querySelector("#review:not(:empty)");
    if (found && chosen) found.scrollIntoView({ block: "nearest" });
    if (form() && form().dataset.byKey) {
      delete form().dataset.byKey;
      const wanted = [".confirm .primary", ".alternatives button", "h2"];
      const next = wanted.map((what) => document.querySelector(`#review ${what}`)).find(Boolean);
      if (next) next.focus();
    }
  });
  addEventListener("resize", show);

  // On a phone the form is a sheet: shut, it shows what is chosen and the next act alone.
  const sheet = (open) => {
    const panel = document.getElementById("panel");
    panel.classList.toggle("open", open);
    panel.querySelector(".sheet-toggle").setAttribute("aria-expanded", panel.classList.contains("open"));
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest(".sheet-toggle")) sheet();
  });
  document.addEventListener("htmx:after:request", (event) => {
    if (event.target === form()) sheet(false);
  });
  begin();
})();
