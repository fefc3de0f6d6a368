/* The board's scatter of two losses. Texts and numbers come from the page; colours from its CSS. */
"use strict";

(() => {
  const figure = document.querySelector("[data-chart]");
  if (!figure || !window.Chart) return;
  const canvas = figure.querySelector("canvas");
  const baselines = figure.querySelector("[data-chart-baselines]");
  // One shape for each kind: colour is not the only difference.
  const KINDS = {
    baseline: { colour: "--chart-baseline", shape: "rectRot", radius: 7 },
    team: { colour: "--chart-team", shape: "circle", radius: 5 },
    own: { colour: "--chart-own", shape: "triangle", radius: 9 },
  };
  let chart = null;

  const read = () => JSON.parse(document.getElementById("board-points").textContent);
  const isShown = (point) => point.kind !== "baseline" || !baselines || baselines.checked;
  const colours = () => {
    const style = getComputedStyle(figure);
    return (name) => style.getPropertyValue(name).trim();
  };

  function datasets(data, colour) {
    const kinds = Object.entries(KINDS).map(([kind, look]) => ({
      type: "scatter",
      data: data.points.filter((point) => point.kind === kind && isShown(point)),
      pointStyle: look.shape,
      pointRadius: look.radius,
      pointHoverRadius: look.radius + 3,
      backgroundColor: colour(look.colour),
      borderColor: colour("--surface"),
      borderWidth: 1,
      clip: 16,
      order: kind === "own" ? 0 : 1,
    }));
    const front = {
      type: "line",
      data: data.front.map((index) => data.points[index]).filter(isShown),
      stepped: "before",
      pointRadius: 0,
      pointHitRadius: 0,
      pointHoverRadius: 0,
      borderColor: colour("--chart-front"),
      borderDash: [6, 4],
      borderWidth: 2,
      order: 2,
    };
    return [...kinds, front];
  }

  function axis(title, colour) {
    return {
      type: "linear",
      beginAtZero: true,
      grace: "5%",
      title: { display: true, text: title, color: colour("--muted") },
      ticks: { color: colour("--muted"), maxTicksLimit: 7, maxRotation: 0 },
      grid: { color: colour("--line") },
      border: { color: colour("--line-strong") },
    };
  }

  function tooltip(colour) {
    return {
      filter: (item) => Boolean(item.raw.url) && item.dataset.type === "scatter",
      backgroundColor: colour("--ink"),
      titleColor: colour("--surface"),
      bodyColor: colour("--surface"),
      displayColors: false,
      padding: 10,
      callbacks: { title: (items) => items.map((item) => item.raw.team), label: (item) => item.raw.text },
    };
  }

  const touched = (event) =>
    chart
      .getElementsAtEventForMode(event, "nearest", { intersect: true }, false)
      .map(({ datasetIndex, index }) => chart.data.datasets[datasetIndex].data[index])
      .find((point) => point.url);

  function draw() {
    const colour = colours();
    const data = read();
    if (chart) chart.destroy();
    figure.hidden = false;
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    chart = new Chart(canvas, {
      data: { datasets: datasets(data, colour) },
      options: {
        animation: false,
        maintainAspectRatio: false,
        locale: document.documentElement.lang,
        layout: { padding: 8 },
        scales: { x: axis(figure.dataset.x, colour), y: axis(figure.dataset.y, colour) },
        plugins: { legend: { display: false }, tooltip: tooltip(colour) },
        onHover: (event) => {
          canvas.classList.toggle("is-link", Boolean(touched(event.native)));
        },
        onClick: (event) => {
          const point = touched(event.native);
          if (point) window.location.assign(point.url);
        },
      },
    });
  }

  draw();
  if (baselines) baselines.addEventListener("change", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.body.addEventListener("htmx:oobAfterSwap", (event) => {
    if (event.target.id === "board-front") draw();
  });
})();
