// Tells what is under the pointer. Everything is readable without it.
"use strict";
for (const scenario of document.querySelectorAll("[data-run]")) {
  const data = JSON.parse(scenario.querySelector("script.data").textContent);
  const cursors = scenario.querySelectorAll(".cursor");
  const time = (us) => us === null ? "-" : us < 1e3 ? us + "µs" : us < 1e4 ? (us / 1e3).toFixed(1) + "ms" : us < 1e6 ? Math.round(us / 1e3) + "ms" : (us / 1e6).toFixed(2) + "s";
  const tell = (figure, share) => {
    const series = data.series[figure.dataset.series];
    const tip = figure.querySelector(".tip");
    if (!series || !tip) return;
    const bin = Math.min(Math.floor(share * data.length / series.step), series.n.length - 1);
    const from = bin * series.step / 1e6, to = Math.min((bin + 1) * series.step, data.length) / 1e6;
    const n = series.n[bin];
    const words = ["from " + from.toFixed(1) + "s to " + to.toFixed(1) + "s"];
    if (n === 0) words.push("none");
    else {
      words.push(series.good[bin] + " of " + n + " " + series.word + " (" + (100 * series.good[bin] / n).toFixed(1) + "%)");
      if (series.degraded[bin]) words.push(series.degraded[bin] + " degraded");
      words.push("p50 " + time(series.p50[bin]), "p95 " + time(series.p95[bin]), "p99 " + time(series.p99[bin]), "max " + time(series.max[bin]));
    }
    tip.textContent = words.join(" · ");
  };
  for (const plot of scenario.querySelectorAll(".plot")) {
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.999999);
      for (const cursor of cursors) { cursor.style.left = (100 * share) + "%"; cursor.style.display = "block"; }
      for (const figure of scenario.querySelectorAll("figure[data-series]")) tell(figure, share);
    });
    plot.addEventListener("pointerleave", () => { for (const cursor of cursors) cursor.style.display = "none"; });
  }
}
