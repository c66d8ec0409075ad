// The plots are drawn already; this only hides lines and says what is under the pointer.
(() => {
  "use strict";
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const hidden = { run: new Set() };

  const apply = (figure) => {
    for (const path of figure.querySelectorAll("path[data-series]")) {
      const off = hidden.run.has(path.dataset.run) || figure.off.has(path.dataset.series);
      path.classList.toggle("off", off);
    }
    figure.close();
  };

  const point = (figure, data, at) => {
    const cross = figure.querySelector(".cross"), tip = figure.querySelector(".tip");
    const x = data.x[at];
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    cross.classList.add("on");
    const head = document.createElement("b");
    head.textContent = data.names[at];
    const rows = [head];
    for (const line of data.lines) {
      if (line.text[at] === null || hidden.run.has(String(line.run)) || figure.off.has(String(line.series))) continue;
      const row = document.createElement("span");
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      swatch.setAttribute("class", "swatch");
      swatch.setAttribute("viewBox", "0 0 22 8");
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
      stroke.setAttribute("class", line.style);
      stroke.setAttribute("d", "M1 4L21 4");
      swatch.append(stroke);
      const value = document.createElement("i");
      value.textContent = line.text[at];
      row.append(swatch, line.name, value);
      rows.push(row);
    }
    tip.replaceChildren(...rows);
    tip.hidden = false;
    const right = x > data.width / 2, share = (100 * x) / data.width;
    // Set through the CSSOM, which the page's policy allows; a style attribute it does not.
    tip.style.left = right ? "auto" : `calc(${share}% + 12px)`;
    tip.style.right = right ? `calc(${100 - share}% + 12px)` : "auto";
  };

  const wire = (figure) => {
    const data = JSON.parse(figure.querySelector(".data").textContent);
    const canvas = figure.querySelector(".canvas"), svg = canvas.querySelector("svg");
    figure.off = new Set();
    let at = -1;
    figure.close = () => {
      figure.querySelector(".tip").hidden = true;
      figure.querySelector(".cross").classList.remove("on");
      at = -1;
    };
    if (data.x.length === 0) return;
    const show = (next) => {
      at = Math.max(0, Math.min(data.x.length - 1, next));
      point(figure, data, at);
    };
    canvas.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * data.width;
      let nearest = 0;
      data.x.forEach((place, n) => {
        if (Math.abs(place - x) < Math.abs(data.x[nearest] - x)) nearest = n;
      });
      if (nearest !== at) show(nearest);
    });
    canvas.addEventListener("pointerleave", figure.close);
    canvas.addEventListener("blur", figure.close);
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
      if (event.key in steps) show(at + steps[event.key]);
      else if (event.key === "Home") show(0);
      else if (event.key === "End") show(data.x.length - 1);
      else if (event.key === "Escape") figure.close();
      else return;
      event.preventDefault();
    });
    for (const button of figure.querySelectorAll("button[data-series]")) {
      button.addEventListener("click", () => {
        const on = !pressed(button);
        button.setAttribute("aria-pressed", on);
        if (on) figure.off.delete(button.dataset.series);
        else figure.off.add(button.dataset.series);
        apply(figure);
      });
    }
  };

  const figures = [...document.querySelectorAll("figure.plot")];
  figures.forEach(wire);
  for (const button of document.querySelectorAll("button[data-run]")) {
    button.addEventListener("click", () => {
      const on = !pressed(button);
      button.setAttribute("aria-pressed", on);
      if (on) hidden.run.delete(button.dataset.run);
      else hidden.run.add(button.dataset.run);
      figures.forEach(apply);
    });
  }
  for (const group of document.querySelectorAll(".tabbed")) {
    const buttons = group.querySelectorAll("button[data-tab]");
    for (const button of buttons) {
      button.addEventListener("click", () => {
        for (const other of buttons) other.setAttribute("aria-pressed", other === button);
        for (const tab of group.querySelectorAll(".tab")) tab.hidden = tab.dataset.tab !== button.dataset.tab;
      });
    }
  }
  for (const time of document.querySelectorAll("time[data-unix]")) {
    const date = new Date(Number(time.dataset.unix) * 1000);
    if (!Number.isNaN(date.getTime())) time.title = date.toLocaleString();
  }
})();
