"use strict";
(() => {
  const steps = JSON.parse(document.getElementById("tape").textContent);
  const panel = document.getElementById("panel");
  const controls = document.getElementById("controls");
  const sections = [...document.querySelectorAll("section.step")];
  const MOST_TERMS = 16, MOST_OPERAND = 12;
  let shownStep = 0, grain = "atomic", operation = 0;

  // ---- Numbers -----------------------------------------------------------------------------------------------------
  // What the learner has not filled in yet is no number.
  const typed = (input) => (input.value.trim() === "" ? NaN : Number(input.value.trim().replace(",", ".")));
  const exact = (td) => {
    const input = td.querySelector("input");
    return input ? typed(input) : Number(td.dataset.v ?? td.textContent);
  };
  const short = (x) => {
    if (Number.isNaN(x)) return "?";
    if (!Number.isFinite(x) || Number.isInteger(x) && Math.abs(x) < 1e10) return String(x);
    const size = Math.abs(x);
    return size >= 1e-3 && size < 1e5 ? String(Number(x.toPrecision(5))) : x.toExponential(3);
  };
  const erf = (x) => {
    // A series for small x, a continued fraction for large x.
    const size = Math.abs(x);
    if (size > 6) return Math.sign(x);
    if (size < 3) {
      let term = size, sum = size;
      for (let n = 1; Math.abs(term) > 1e-18 * sum && n < 200; n++) {
        term *= -size * size / n;
        sum += term / (2 * n + 1);
      }
      return Math.sign(x) * 2 / Math.sqrt(Math.PI) * sum;
    }
    let fraction = 0;
    for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
    return Math.sign(x) * (1 - Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction));
  };
  const FUNCTIONS = {
    exp: Math.exp, expm1: Math.expm1, log: Math.log, sqrt: Math.sqrt, square: (x) => x * x, abs: Math.abs,
    sign: Math.sign, tanh: Math.tanh, sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    normal_cdf: (x) => (1 + erf(x / Math.SQRT2)) / 2,
    normal_density: (x) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI),
  };
  const WRITTEN = {
    exp: (a) => `exp(${a})`, expm1: (a) => `(exp(${a}) − 1)`, log: (a) => `log(${a})`, sqrt: (a) => `√(${a})`,
    square: (a) => `(${a})²`, abs: (a) => `|${a}|`, sign: (a) => `sign(${a})`, tanh: (a) => `tanh(${a})`,
    sigmoid: (a) => `σ(${a})`, normal_cdf: (a) => `Φ(${a})`, normal_density: (a) => `φ(${a})`,
  };
  const COMPARE = { ">": (a, b) => a > b, "≥": (a, b) => a >= b, "=": (a, b) => a === b };

  // ---- Formulas ----------------------------------------------------------------------------------------------------
  const tables = new Map();
  const table = (id) => {
    const key = `${shownStep} ${grain} ${id}`;
    if (!tables.has(key)) {
      const section = sections[shownStep].querySelector(`[data-grain="${grain}"]`);
      tables.set(key, section.querySelector(`[data-node="${id}"] table`));
    }
    return tables.get(key);
  };
  const nodes = () => steps[shownStep][grain];
  const cellAt = (id, row, column) => table(id).rows[row].cells[column];

  // The value of a formula, with every cell that it reads in `used`.
  const value = (f, at, used) => {
    const inner = (g) => value(g, at, used);
    const over = (start, join) => {
      const [, index, count, body] = f;
      let result = start;
      for (let q = 0; q < count; q++) result = join(result, value(body, { ...at, [index]: q }, used));
      return result;
    };
    switch (f[0]) {
      case "n": return f[1];
      case "v": return f[2];
      case "c": {
        const [row, column] = [f[2], f[3]].map((index) => (index === 0 ? 0 : at[index]));
        used?.push([f[1], row, column]);
        return exact(cellAt(f[1], row, column));
      }
      case "sum": return over(0, (a, b) => a + b);
      case "max": return over(-Infinity, Math.max);
      case "+": return inner(f[1]) + inner(f[2]);
      case "-": return f.length === 2 ? -inner(f[1]) : inner(f[1]) - inner(f[2]);
      case "*": return inner(f[1]) * inner(f[2]);
      case "/": return inner(f[1]) / inner(f[2]);
      case "if": return COMPARE[f[1]](inner(f[2]), inner(f[3])) ? inner(f[4]) : inner(f[5]);
      default: return FUNCTIONS[f[0]](inner(f[1]));
    }
  };
  const bind = (f) => ({ "+": 1, "-": f.length === 2 ? 2 : 1, sum: 1, max: 4, "*": 3, "/": 3, if: 0 })[f[0]] ?? 4;
  // The formula with numbers plugged in.
  const written = (f, at, around = 0) => {
    const inner = (g, binding) => written(g, at, binding);
    const number = (x) => (x < 0 && around > 0 ? `(${short(x)})` : short(x));
    let text;
    switch (f[0]) {
      case "n": case "v": case "c": return number(value(f, at));
      case "sum": case "max": {
        const [kind, index, count, body] = f;
        const terms = [];
        for (let q = 0; q < Math.min(count, MOST_TERMS); q++) {
          terms.push(written(body, { ...at, [index]: q }, kind === "sum" ? 2 : 0));
        }
        if (count > MOST_TERMS) terms.push(`… ${count - MOST_TERMS} more`);
        if (kind === "max") return `max(${terms.join(", ")})`;
        text = terms.join(" + ");
        if (terms.length === 1) return written(body, { ...at, [index]: 0 }, around);
        break;
      }
      case "+": text = `${inner(f[1], 1)} + ${inner(f[2], 1)}`; break;
      case "-": text = f.length === 2 ? `−${inner(f[1], 2)}` : `${inner(f[1], 1)} − ${inner(f[2], 2)}`; break;
      case "*": text = `${inner(f[1], 3)} · ${inner(f[2], 3)}`; break;
      case "/": text = `${inner(f[1], 3)} / ${inner(f[2], 4)}`; break;
      case "if": {
        const [a, b] = [value(f[2], at), value(f[3], at)], holds = COMPARE[f[1]](a, b);
        const way = written(holds ? f[4] : f[5], at, around);
        return `${way} [because ${short(a)} ${f[1]} ${short(b)} is ${holds}]`;
      }
      default: return WRITTEN[f[0]](inner(f[1], 0));
    }
    return bind(f) < around ? `(${text})` : text;
  };

  // ---- The panel ---------------------------------------------------------------------------------------------------
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const clear = () => {
    for (const td of document.querySelectorAll("td.own, td.from")) td.classList.remove("own", "from");
  };
  const position = (td) => [td.parentElement.rowIndex, td.cellIndex];
  const label = (node, row, column) => {
    const indices = [row, column].filter((_, axis) => node.axes[axis] !== "");
    return indices.length ? `${node.name}[${indices.join(",")}]` : node.name;
  };
  // A copy of an operand beside the sum: the original may be far up the page.
  const operand = (id, cells) => {
    const original = table(id);
    if (original.rows.length > MOST_OPERAND || original.rows[0].cells.length > MOST_OPERAND) return null;
    const figure = element("figure");
    figure.append(element("figcaption", nodes()[id].name));
    const copy = original.cloneNode(true);
    for (const td of copy.querySelectorAll("td")) {
      td.removeAttribute("tabindex");
      td.classList.remove("own", "from");
    }
    for (const [row, column] of cells) copy.rows[row].cells[column].classList.add("from");
    figure.append(copy);
    return figure;
  };
  const explain = (td) => {
    if (td.closest("[data-blank]")) return;
    const id = Number(td.closest("[data-node]").dataset.node);
    const node = nodes()[id], [row, column] = position(td);
    clear();
    td.classList.add("own");
    const line = element("p", "", "sum");
    const value_ = td.dataset.v ?? td.textContent;
    const used = [];
    if (node.formula) {
      const at = {};
      if (node.axes[0]) at[node.axes[0]] = row;
      if (node.axes[1]) at[node.axes[1]] = column;
      value(node.formula, at, used);
      line.textContent = `${label(node, row, column)} = ${written(node.formula, at)} = ${value_}`;
    } else {
      line.textContent = `${label(node, row, column)} = ${value_}, which the step starts with`;
    }
    panel.replaceChildren(line);
    if (td.title) panel.append(element("p", td.title));
    if (td.dataset.d) {
      const text = td.dataset.d === "kink" ? "none: a kink lies between the two points" : td.dataset.d;
      panel.append(element("p", `Central difference of the loss: ${text}`));
    }
    const byTensor = new Map();
    for (const [tensor, r, c] of used) {
      cellAt(tensor, r, c).classList.add("from");
      byTensor.set(tensor, [...(byTensor.get(tensor) ?? []), [r, c]]);
    }
    const operands = element("div", "", "operands");
    for (const [tensor, cells] of byTensor) {
      const figure = operand(tensor, cells);
      if (figure) operands.append(figure);
    }
    panel.append(operands);
    panel.hidden = false;
    // The keyboard stops at the panel only where it must be scrolled.
    panel.tabIndex = panel.scrollHeight > panel.clientHeight ? 0 : -1;
  };

  // ---- Cells: pointer and keyboard ---------------------------------------------------------------------------------
  for (const each of document.querySelectorAll("figure:not([data-blank]) table")) {
    for (const td of each.querySelectorAll("td")) td.tabIndex = -1;
    each.rows[0].cells[0].tabIndex = 0;
  }
  const main = document.querySelector("main");
  main.classList.add("scripted-cells");
  const cellOf = (event) => event.target.closest?.("main td");
  main.addEventListener("pointerover", (event) => {
    const td = cellOf(event);
    if (td) explain(td);
  });
  main.addEventListener("focusin", (event) => {
    const td = cellOf(event);
    if (td) explain(td);
  });
  main.addEventListener("click", (event) => cellOf(event)?.focus());
  const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  main.addEventListener("keydown", (event) => {
    const td = cellOf(event), move = MOVES[event.key];
    if (!td || !move || td.closest("[data-blank]")) return;
    const [row, column] = position(td);
    const next = td.closest("table").rows[row + move[0]]?.cells[column + move[1]];
    if (!next) return;
    event.preventDefault();
    td.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    clear();
    panel.hidden = true;
  });

  // ---- Quiz --------------------------------------------------------------------------------------------------------
  const quiz = JSON.parse(document.getElementById("quiz").textContent);
  // The largest difference of an answer from a candidate of the same shape, relative to the candidate's size.
  const distance = (candidate, answer) => {
    const apart = Math.max(...candidate.values.map((x, at) => Math.abs(x - answer[at])));
    return apart === 0 ? 0 : apart / candidate.size;
  };
  const verdict = (name, shape, answer) => {
    const missing = answer.filter((x) => !Number.isFinite(x)).length;
    if (missing > 0) return `${missing} of ${answer.length} cells hold no number yet.`;
    const [right, ...wrong] = quiz.blanks[name];
    const away = distance(right, answer);
    if (away <= quiz.exact) return "Right.";
    if (away <= quiz.rounded) return "Right to rounding.";
    const same = wrong.filter((c) => c.shape.join() === shape.join());
    const mistakes = same.filter((c) => distance(c, answer) <= quiz.rounded).map((c) => c.mistake);
    return mistakes.length ? `Not yet: ${[...new Set(mistakes)].join("; or ")}.` : "Not yet, by no known mistake.";
  };
  for (const figure of document.querySelectorAll("[data-blank]")) {
    const name = figure.dataset.blank;
    figure.querySelector(".check").addEventListener("click", () => {
      const rows = [...figure.querySelector("table").rows];
      const answer = [...figure.querySelectorAll("input")].map(typed);
      figure.querySelector(".verdict").textContent = verdict(name, [rows.length, rows[0].cells.length], answer);
    });
  }

  // ---- Steps, grains, operations -----------------------------------------------------------------------------------
  const operations = () => [
    ...sections[shownStep].querySelectorAll(`[data-grain="${grain}"] .operation`),
  ];
  const operationSlider = document.getElementById("operation");
  const stepSlider = document.getElementById("step");
  const show = () => {
    sections.forEach((section, number) => { section.hidden = number !== shownStep; });
    for (const section of document.querySelectorAll("section.grain")) {
      section.hidden = section.dataset.grain !== grain;
    }
    clear();
    panel.hidden = true;
    if (stepSlider) {
      stepSlider.value = shownStep;
      document.getElementById("step-number").textContent = steps[shownStep].step;
    }
    operationSlider.max = operations().length - 1;
    operation = Math.min(operation, operations().length - 1);
    name();
    reachLongFormulas();
  };
  // The keyboard stops at a formula only where it must be scrolled to be read.
  const reachLongFormulas = () => {
    for (const formula of sections[shownStep].querySelectorAll(`[data-grain="${grain}"] .formula`)) {
      formula.tabIndex = formula.scrollWidth > formula.clientWidth ? 0 : -1;
    }
  };
  window.addEventListener("resize", reachLongFormulas);
  const name = () => {
    operationSlider.value = operation;
    const title = operations()[operation].getAttribute("aria-label");
    document.getElementById("operation-title").textContent = title;
    operationSlider.setAttribute("aria-valuetext", title);
  };
  const goTo = (number, takeFocus) => {
    operation = Math.max(0, Math.min(number, operations().length - 1));
    name();
    const article = operations()[operation];
    article.scrollIntoView({ block: "center" });
    if (takeFocus) article.focus({ preventScroll: true });
  };
  const goToStep = (number) => {
    shownStep = Math.max(0, Math.min(number, sections.length - 1));
    show();
  };
  controls.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.step) goToStep(shownStep + Number(button.dataset.step));
    else goTo(operation + Number(button.dataset.operation), false);
  });
  controls.addEventListener("input", (event) => {
    if (event.target.name === "grain") {
      grain = event.target.value;
      show();
    } else if (event.target === stepSlider) goToStep(Number(stepSlider.value));
    else goTo(Number(operationSlider.value), false);
  });
  for (const each of document.querySelectorAll(".scripted")) each.hidden = false;
  controls.hidden = false;
  show();
})();
