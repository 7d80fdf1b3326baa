"use strict";
// The page is complete without this script: it chooses a chart, sorts the table and shows hover texts at once.
for (const choice of document.querySelectorAll("select.measure")) {
  const section = choice.closest("section");
  const show = () => {
    for (const part of section.querySelectorAll(".by-measure")) part.hidden = part.dataset.key !== choice.value;
    for (const name of section.querySelectorAll(".which")) name.textContent = choice.selectedOptions[0].textContent;
  };
  choice.addEventListener("change", show);
  show();
}
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const spot of document.querySelectorAll(".spot")) {
  const title = spot.querySelector("title");
  const text = title.textContent;
  spot.setAttribute("aria-label", text);
  title.remove();
  const show = () => {
    const box = spot.querySelector(".dot").getBoundingClientRect();
    tip.textContent = text;
    tip.hidden = false;
    const left = Math.min(box.right + 12, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left) + window.scrollX}px`;
    tip.style.top = `${box.bottom + 8 + window.scrollY}px`;
  };
  const hide = () => { tip.hidden = true; };
  spot.addEventListener("mouseenter", show);
  spot.addEventListener("focus", show);
  spot.addEventListener("mouseleave", hide);
  spot.addEventListener("blur", hide);
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const upward = head.getAttribute("aria-sort") === "descending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", upward ? "ascending" : "descending");
    const value = (row) => row.cells[column].dataset.order;
    const compare = (a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === "" || right === "") return (left === "") - (right === "");
      const numbers = Number(left) - Number(right);
      const order = Number.isNaN(numbers) ? left.localeCompare(right, "en", { numeric: true }) : numbers;
      return upward ? order : -order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }));
}
// Paper has no clicks: open what is folded.
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
