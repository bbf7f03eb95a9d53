// Draws a bar chart from a table that is in the page anyway: <div data-chart="id of a tbody"><canvas></div>.
// Columns after the first become stacked bars; their headings carry data-tone, a colour of app.css.
"use strict";

const charts = new Map();

function rowsOf(box) {
  return [...document.getElementById(box.dataset.chart).rows];
}
function numbers(rows, column) {
  return rows.map((row) => Number(row.cells[column].dataset.value));
}

// light-dark() in a custom property is resolved only where it is used as a colour.
function colour(tone) {
  const probe = document.createElement("i");
  probe.className = `badge-${tone}`;
  document.body.append(probe);
  probe.style.color = `var(--${tone})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function draw(box) {
  const body = document.getElementById(box.dataset.chart);
  if (!body || !window.Chart) return;
  const heads = [...body.closest("table").tHead.rows[0].cells].slice(1);
  const rows = rowsOf(box);
  box.classList.add("drawn");
  charts.set(box, new Chart(box.querySelector("canvas"), {
    type: "bar",
    data: {
      labels: rows.map((row) => row.cells[0].textContent.trim()),
      datasets: heads.map((head, column) => ({
        label: head.textContent.trim(),
        data: numbers(rows, column + 1),
        backgroundColor: colour(head.dataset.tone),
        maxBarThickness: 48,
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      color: colour("ink"),
      plugins: { legend: { position: "top", align: "end", labels: { boxWidth: 12 } } },
      scales: {
        x: {
          stacked: true,
          grid: { display: false },
          ticks: { color: colour("quiet"), maxRotation: 0, autoSkipPadding: 24 },
        },
        y: {
          stacked: true,
          beginAtZero: true,
          grid: { color: colour("line") },
          ticks: { color: colour("quiet"), precision: 0 },
        },
      },
    },
  }));
}

function drawAll() {
  for (const [box, chart] of charts) {
    if (!box.isConnected) { chart.destroy(); charts.delete(box); continue; }
    // The box stayed where it was while the table beneath it came anew.
    const rows = rowsOf(box);
    chart.data.labels = rows.map((row) => row.cells[0].textContent.trim());
    chart.data.datasets.forEach((bars, column) => { bars.data = numbers(rows, column + 1); });
    chart.update("none");
  }
  for (const box of document.querySelectorAll("[data-chart]:not(.drawn)")) draw(box);
}

// What a reader has unfolded stays unfolded when the piece around it is refreshed.
let unfolded = [];
document.addEventListener("htmx:beforeSwap", () => {
  unfolded = [...document.querySelectorAll("details[id][open]")].map((details) => details.id);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of unfolded) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  drawAll();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [box, chart] of charts) { chart.destroy(); charts.delete(box); box.classList.remove("drawn"); }
  drawAll();
});
drawAll();
