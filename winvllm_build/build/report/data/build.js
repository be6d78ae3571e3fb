"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const table = $("files"), body = table.tBodies[0], panel = $("panel"), tip = $("tip");
  const chips = [...document.querySelectorAll(".chip")], heads = [...table.tHead.rows[0].cells];
  const length = Math.max(data.run.seconds, ...data.attempts.map((one) => one.start + one.seconds), 0.001);
  const before = new Map(data.comparison ? data.comparison.edges.map((pair) => [pair.output, pair]) : []);
  const rows = data.attempts.map((attempt, at) => {
    const then = attempt.outcome === "compiled" ? before.get(attempt.output) : undefined, predicted = attempt.predicted_seconds || 0;
    return {
      ...attempt, at, row: null, bar: null, end: attempt.start + attempt.seconds, gencodes: attempt.gencodes.join(" "),
      ratio: predicted ? attempt.seconds / predicted : null, before: then ? then.before : null,
      difference: then ? attempt.seconds - then.before : null, memoryBefore: then ? then.memory_before : 0,
      text: [attempt.label, attempt.output, attempt.target, attempt.language, ...attempt.gencodes,
        ...data.signs[attempt.outcome]].join("\n").toLowerCase(),
    };
  });
  for (const row of body.rows) { rows[Number(row.dataset.at)].row = row; row.entry = rows[Number(row.dataset.at)]; }
  const state = { outcomes: new Set(), sort: "-seconds", open: null };
  const view = { from: 0, to: length };
  let active = null;

  /* words */
  const plain = (text) => String(text).replace(/[\0-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (found) => {
    const code = found.charCodeAt(0);
    return code < 32 ? `^${String.fromCharCode(code + 64)}` : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
  const two = (number) => String(number).padStart(2, "0");
  const duration = (seconds) => {
    const whole = Math.round(seconds);
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole % 3600 / 60))} min`;
  };
  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds + 1e-6)), hours = Math.floor(whole / 3600), minutes = Math.floor(whole % 3600 / 60);
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };
  const bytes = (count) => count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(count < 1e11 ? 1 : 0)} GB`;
  const fill = (made, attributes, children) => {
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
      else made.setAttribute(key, plain(value));
    }
    made.append(...children.filter((child) => child !== null).map((child) => child instanceof Node ? child : plain(child)));
    return made;
  };
  const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const draw = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

  /* colours */
  const slug = { compiled: "o-compiled", cached: "o-cached", reused: "o-reused", retried: "o-retried", failed: "o-failed" };
  const against = (ratio, names) => ratio === null ? ["g7", names[4]] : ratio > 2 ? ["g4", names[3]]
    : ratio > names.high ? ["g1", names[2]] : ratio < names.low ? ["g2", names[0]] : ["g0", names[1]];
  const colours = {
    target: (one) => { const at = data.groups.indexOf(one.target); return at < 0 ? ["g7", "other targets"] : [`g${at}`, one.target]; },
    outcome: (one) => [slug[one.outcome], data.signs[one.outcome][1]],
    predicted: (one) => against(one.outcome === "compiled" ? one.ratio : null, Object.assign(
      ["under half of it", "as predicted", "1.5 to 2 times", "over twice", "did not run"], { low: 0.5, high: 1.5 })),
    before: (one) => against(one.before ? one.seconds / one.before : null, Object.assign(
      ["faster by a tenth or more", "the same", "slower by a tenth or more", "over twice", "did not run then"], { low: 0.9, high: 1.1 })),
  };
  const colour = (one) => (colours[$("colour").value] || colours.target)(one);

  /* timeline */
  const LEFT = 34, RIGHT = 12, TOP = 20;
  const lanes = Math.max(1, ...rows.map((one) => one.slot + 1)) + data.unended.length;
  const high = lanes <= 8 ? 28 : lanes <= 24 ? 19 : 13;
  const timeline = $("timeline"), room = $("room");
  let wide = 0;
  const x = (seconds) => LEFT + (seconds - view.from) / (view.to - view.from) * (wide - LEFT - RIGHT);
  const secondsAt = (pixel) => view.from + (pixel - LEFT) / (wide - LEFT - RIGHT) * (view.to - view.from);
  const inside = (seconds) => Math.min(Math.max(seconds, 0), length);
  function ticks(count) {
    const rough = (view.to - view.from) / count;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400].find((one) => one >= rough) || 28800;
    const found = [];
    for (let at = Math.ceil(view.from / step) * step; at <= view.to + 1e-9; at += step) found.push(at);
    return { step, found };
  }
  function axis(svg, bottom, named = true) {
    const { step, found } = ticks(Math.max(2, wide / 90));
    for (const at of found) {
      svg.append(draw("line", { class: "grid", x1: x(at), x2: x(at), y1: named ? TOP - 4 : 4, y2: bottom }));
      if (named) svg.append(draw("text", { x: x(at), y: 11, "text-anchor": at === 0 ? "start" : "middle" }, step < 1 ? `${at.toFixed(1)} s` : clock(at)));
    }
  }
  const words = (one) => [
    duration(one.seconds) + (one.predicted_seconds ? `, ${duration(one.predicted_seconds)} predicted` : ""),
    ...(one.memory ? [bytes(one.memory) + (one.predicted_memory ? ` of ${bytes(one.predicted_memory)} predicted` : "")] : []),
    `from ${clock(one.start)}, slot ${one.slot + 1}${one.waited >= 0.1 ? `, held back ${duration(one.waited)}` : ""}`,
    ...(one.outcome === "compiled" ? [] : [data.signs[one.outcome][1]]),
    ...(one.before ? [`${duration(one.before)} in the earlier run`] : []),
  ];
  function drawTimeline() {
    const bottom = TOP + lanes * (high + 3), focused = timeline.contains(document.activeElement);
    timeline.replaceChildren();
    fill(timeline, { viewBox: `0 0 ${wide} ${bottom + 4}`, height: bottom + 4 }, []);
    axis(timeline, bottom);
    for (let lane = 0; lane < lanes; lane++) {
      timeline.append(draw("rect", { class: "lane", x: LEFT, y: TOP + lane * (high + 3), width: wide - LEFT - RIGHT, height: high, rx: 3 }));
      timeline.append(draw("text", { x: LEFT - 8, y: TOP + lane * (high + 3) + high / 2 + 4, "text-anchor": "end" },
        lane < lanes - data.unended.length ? lane + 1 : "–"));
    }
    for (const one of rows) {
      one.bar = null;
      if (one.end < view.from || one.start > view.to) continue;
      bar(one, Math.max(x(one.start), LEFT), Math.min(x(one.end), wide - RIGHT));
    }
    data.unended.forEach((one, at) => {
      const y = TOP + (lanes - data.unended.length + at) * (high + 3), from = Math.max(x(one.start), LEFT);
      timeline.append(draw("rect", { class: "cut", x: from, y: y + 1, width: Math.max(wide - RIGHT - from, 1), height: high - 2, rx: 2 },
        draw("title", {}, `${one.label} did not end`)));
      if (high > 18) timeline.append(draw("text", { x: from + 5, y: y + high / 2 + 4 }, `${one.label} did not end`));
    });
    focusable(active && active.bar ? active : rows.find((one) => one.bar));
    if (focused && active) active.bar.focus({ preventScroll: true });
  }
  function bar(one, from, to) {
    const y = TOP + one.slot * (high + 3), width = Math.max(to - from - 0.6, 1.2), sign = data.signs[one.outcome][0];
    one.bar = draw("rect", { class: `edge ${colour(one)[0]}`, x: from, y: y + 0.5, width, height: high - 1, rx: Math.min(2.5, width / 3),
      tabindex: -1, role: "button", "aria-label": `${one.label}, ${words(one).join(", ")}` });
    one.bar.entry = one;
    timeline.append(one.bar);
    const fits = Math.floor((width - 9) / 6.6), name = (sign ? `${sign} ` : "") + one.label.split("/").pop();
    if (high < 18 || fits < 4) { if (sign && width > 9 && high > 18) label(sign, from, y); return; }
    label(name.length <= fits ? name : `${name.slice(0, fits - 1)}…`, from, y);
  }
  const label = (text, from, y) => timeline.append(draw("text", { class: "label", x: from + 5, y: y + high / 2 + 4 }, text));
  function focusable(one) {
    if (active && active.bar) active.bar.setAttribute("tabindex", "-1");
    active = one || null;
    if (active && active.bar) active.bar.setAttribute("tabindex", "0");
  }
  function drawMemory() {
    const samples = data.samples, bottom = 112, base = bottom - 14;
    $("memory").hidden = samples.length < 2;
    if (samples.length < 2) return;
    const most = Math.max(...samples.map((one) => Math.max(one[1], one[2])), 1), y = (count) => base - count / most * (base - 8);
    const unit = most < 4e9 ? [1e6, "MB"] : [1e9, "GB"], held = Math.max(...samples.map((one) => one[3]), 1);
    room.replaceChildren();
    fill(room, { viewBox: `0 0 ${wide} ${bottom}`, height: bottom }, []);
    axis(room, base, false);
    for (const part of [0.5, 1]) room.append(draw("text", { x: LEFT - 6, y: y(most * part) + 4, "text-anchor": "end" }, Math.round(most * part / unit[0])),
      draw("line", { class: "grid", x1: LEFT, x2: wide - RIGHT, y1: y(most * part), y2: y(most * part) }));
    room.append(draw("text", { x: LEFT - 6, y: base + 4, "text-anchor": "end" }, unit[1]));
    const shown = samples.filter((one, at) => (samples[at + 1] || one)[0] >= view.from && (samples[at - 1] || one)[0] <= view.to);
    if (!shown.length) return;
    const inX = (one) => Math.min(Math.max(x(one[0]), LEFT), wide - RIGHT).toFixed(1);
    const line = (at) => shown.map((one) => `${inX(one)},${y(one[at]).toFixed(1)}`).join(" ");
    room.append(draw("polygon", { class: "area", points: `${inX(shown[0])},${base} ${line(1)} ${inX(shown[shown.length - 1])},${base}` }));
    room.append(draw("polyline", { class: "used", points: line(1) }), draw("polyline", { class: "budget", points: line(2) }));
    shown.forEach((one, at) => {
      const next = shown[at + 1];
      if (one[3] && next) room.append(draw("rect", { class: "waiting", x: inX(one), width: Math.max(inX(next) - inX(one), 0.5),
        y: base + 1, height: 1 + 11 * one[3] / held }));
    });
  }
  function pictures() {
    $("pictures").hidden = !rows.length && !data.unended.length;
    wide = Math.max(timeline.getBoundingClientRect().width, 220);
    drawTimeline();
    drawMemory();
    legend();
    mark();
    drawScatter();
  }
  function legend() {
    const seen = new Map();
    for (const one of rows) seen.set(colour(one)[1], colour(one)[0]);
    const order = [...seen].sort((a, b) => a[1].localeCompare(b[1]));
    $("legend").replaceChildren(...order.map(([name, look]) => make("li", {}, make("i", { class: `k ${look}` }), name)));
  }
  function zoom(from, to) {
    const least = Math.max(length / 5000, 0.05), span = Math.min(Math.max(to - from, least), length);
    view.from = Math.min(Math.max(0, from), length - span);
    view.to = view.from + span;
    pictures();
  }
  const scale = (by, middle = (view.from + view.to) / 2) => zoom(middle - (middle - view.from) * by, middle + (view.to - middle) * by);

  const path = (label) => {
    const cut = label.lastIndexOf("/") + 1;
    return make("span", { class: "path", title: label }, ...(cut ? [make("span", { class: "dir" }, label.slice(0, cut))] : []), make("b", {}, label.slice(cut)));
  };

  /* predicted and measured; slower and faster */
  function drawScatter() {
    const points = rows.filter((one) => one.outcome === "compiled" && one.predicted_seconds > 0 && one.seconds > 0);
    $("scatter-card").hidden = points.length < 3;
    $("two").hidden = points.length < 3 && !data.comparison;
    if (points.length < 3) return;
    const svg = $("scatter"), width = Math.max(svg.getBoundingClientRect().width, 220), height = 330, left = 44, bottom = height - 30;
    const every = points.flatMap((one) => [one.predicted_seconds, one.seconds]);
    const low = Math.log10(Math.min(...every)) - 0.1, top = Math.log10(Math.max(...every)) + 0.1;
    const sx = (value) => left + (Math.log10(value) - low) / (top - low) * (width - left - 14);
    const sy = (value) => bottom - (Math.log10(value) - low) / (top - low) * (bottom - 10);
    svg.replaceChildren();
    fill(svg, { viewBox: `0 0 ${width} ${height}`, height }, []);
    const [first, last] = [10 ** low, 10 ** top];
    for (const value of [0.1, 1, 10, 60, 600, 3600].filter((one) => one > first && one < last)) {
      const name = value < 60 ? `${value} s` : value < 3600 ? `${value / 60} min` : "1 h";
      svg.append(draw("line", { class: "grid", x1: sx(value), x2: sx(value), y1: 10, y2: bottom }), draw("line", { class: "grid", x1: left, x2: width - 14, y1: sy(value), y2: sy(value) }),
        draw("text", { x: sx(value), y: bottom + 14, "text-anchor": "middle" }, name), draw("text", { x: left - 6, y: sy(value) + 4, "text-anchor": "end" }, name));
    }
    const slope = (by, look) => {
      const from = Math.max(first, first / by), to = Math.min(last, last / by);
      svg.append(draw("line", { class: look, x1: sx(from), y1: sy(from * by), x2: sx(to), y2: sy(to * by) }));
    };
    slope(1, "diagonal"); slope(2, "twice"); slope(0.5, "twice");
    svg.append(draw("text", { x: width - 16, y: bottom - 6, "text-anchor": "end" }, "predicted →"), draw("text", { x: left + 6, y: 20 }, "↑ measured"));
    for (const one of points) {
      const dot = draw("circle", { class: `dot ${colour(one)[0]}`, cx: sx(one.predicted_seconds), cy: sy(one.seconds), r: 4.5 });
      dot.entry = one;
      svg.append(dot);
    }
  }
  function drawDifference() {
    if (!data.comparison) return;
    $("than").textContent = `× ${data.comparison.ratio.toFixed(2)}`;
    const pairs = rows.filter((one) => one.difference !== null && Math.abs(one.difference) >= 0.5);
    pairs.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference));
    $("difference-card").hidden = false;
    $("than-words").textContent = pairs.length ? `than in run ${plain(data.comparison.with.name)}` : "nothing by half a second or more";
    const most = pairs.length ? Math.abs(pairs[0].difference) : 1;
    $("difference").replaceChildren(...pairs.slice(0, 30).map((one) => {
      const part = 50 * Math.abs(one.difference) / most, more = one.difference > 0, look = more ? "more" : "less";
      const item = make("li", { tabindex: 0 }, path(one.label),
        draw("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, draw("line", { x1: 50, x2: 50, y1: 0, y2: 12 }),
          draw("rect", { class: look, x: more ? 50 : 50 - part, width: part, y: 2, height: 8 })),
        make("em", { class: look }, `${more ? "+" : "−"}${duration(Math.abs(one.difference))}`));
      item.entry = one;
      return item;
    }));
  }

  /* filters and order */
  const controls = { q: $("q"), colour: $("colour") };
  function apply() {
    const asked = controls.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const one of rows) {
      one.hidden = !(asked.every((word) => one.text.includes(word)) && (!state.outcomes.size || state.outcomes.has(one.outcome)));
      one.row.hidden = one.hidden;
      count += !one.hidden;
    }
    chips.forEach((chip) => chip.setAttribute("aria-pressed", state.outcomes.has(chip.dataset.outcome)));
    $("empty").hidden = count > 0;
    const spent = rows.reduce((sum, one) => sum + (one.hidden ? 0 : one.seconds), 0);
    $("shown").textContent = count < rows.length ? `${count} of ${rows.length}, ${duration(spent)} together` : "";
    mark();
  }
  function mark() {
    for (const one of rows) {
      one.row.classList.toggle("on", one === state.open);
      if (!one.bar) continue;
      one.bar.classList.toggle("dim", Boolean(one.hidden));
      one.bar.classList.toggle("on", one === state.open);
    }
    for (const dot of $("scatter").querySelectorAll(".dot")) dot.classList.toggle("dim", Boolean(dot.entry.hidden));
  }
  function order() {
    const down = state.sort.startsWith("-"), key = state.sort.replace("-", "");
    const empty = (value) => value === null || value === undefined;
    const sorted = rows.slice().sort((a, b) => {
      if (empty(a[key]) || empty(b[key])) return empty(a[key]) - empty(b[key]) || a.at - b.at;
      const by = typeof a[key] === "string" ? a[key].localeCompare(b[key]) : a[key] - b[key];
      return (down ? -by : by) || a.at - b.at;
    });
    body.append(...sorted.map((one) => one.row));
    for (const head of heads) {
      if (head.dataset.key === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  /* the address: what is shown can be sent to someone */
  const name = (one) => one.attempt > 1 ? `${one.output}#${one.attempt}` : one.output;
  function address() {
    const made = new URLSearchParams();
    if (state.open) made.set("file", name(state.open));
    if (controls.q.value) made.set("q", controls.q.value);
    if (controls.colour.value !== "target") made.set("colour", controls.colour.value);
    if (state.sort !== "-seconds") made.set("sort", state.sort);
    for (const outcome of state.outcomes) made.append("outcome", outcome);
    return `#${made}`;
  }
  const write = () => { try { history.replaceState(null, "", address()); } catch { location.replace(address()); } };
  function restore() {
    const asked = new URLSearchParams(location.hash.slice(1));
    controls.q.value = asked.get("q") || "";
    controls.colour.value = asked.get("colour") || "target";
    if (controls.colour.selectedIndex < 0) controls.colour.value = "target";
    const sort = asked.get("sort") || "-seconds";
    state.sort = heads.some((head) => head.dataset.key === sort.replace("-", "")) ? sort : "-seconds";
    state.outcomes = new Set(asked.getAll("outcome").filter((outcome) => data.signs[outcome]));
    order();
    apply();
    pictures();
    const one = rows.find((row) => name(row) === asked.get("file"));
    if (one) show(one, false); else close(false);
  }
  const changed = () => { apply(); write(); };

  /* the panel */
  function facts(one) {
    const pairs = [
      ["took", duration(one.seconds)], ["predicted", one.predicted_seconds ? `${duration(one.predicted_seconds)} (× ${one.ratio.toFixed(2)})` : ""],
      ["earlier run", one.before ? `${duration(one.before)} (${one.difference > 0 ? "+" : "−"}${duration(Math.abs(one.difference))})` : ""],
      ["CPU", one.cpu ? duration(one.cpu) : ""], ["memory", one.memory ? bytes(one.memory) : ""],
      ["predicted", one.predicted_memory ? bytes(one.predicted_memory) : ""], ["then", one.memoryBefore ? bytes(one.memoryBefore) : ""],
      ["ran", `${clock(one.start)} to ${clock(one.end)}, slot ${one.slot + 1}`], ["held back", one.waited >= 0.1 ? duration(one.waited) : ""],
      ["how", one.outcome === "compiled" ? "" : data.signs[one.outcome][1]], ["exit code", one.code ? String(one.code) : ""],
      ["target", one.target], ["for", one.gencodes], ["language", one.language], ["makes", one.output],
      ["size", one.size ? bytes(one.size) : ""],
    ];
    return make("dl", {}, ...pairs.filter((pair) => pair[1]).flatMap(([what, value]) => [make("dt", {}, what), make("dd", {}, value)]));
  }
  function show(one, byHand) {
    state.open = one;
    const tries = rows.filter((other) => other.output === one.output && other !== one);
    panel.replaceChildren(
      make("div", { class: "head" }, make("h2", {}, one.label + (one.attempt > 1 ? `, attempt ${one.attempt}` : "")),
        make("button", { type: "button", id: "close", "aria-label": "close", on: { click: () => close(true) } }, "✕")),
      facts(one),
      ...(tries.length ? [make("h4", {}, "Other attempts")] : []),
      ...tries.map((other) => make("button", { type: "button", on: { click: () => show(other, true) } },
        `${other.attempt}: ${data.signs[other.outcome][1]}, ${duration(other.seconds)}`)),
      ...(one.outcome === "failed" ? [make("h4", {}, "Why"), make("code", {}, `winvllm-build why ${one.label}`)] : []));
    panel.hidden = false;
    document.body.classList.add("split");
    panel.scrollTop = 0;
    tip.hidden = true;
    write();
    if (one.start > view.to || one.end < view.from) zoom(one.start - (view.to - view.from) / 2, one.start + (view.to - view.from) / 2);
    mark();
    if (one.bar) focusable(one);
    if (byHand) panel.focus({ preventScroll: true });
    else one.row.scrollIntoView({ block: "nearest" });
  }
  function close(byHand) {
    const was = state.open;
    state.open = null;
    panel.hidden = true;
    document.body.classList.remove("split");
    mark();
    if (byHand) { write(); if (was && was.bar) was.bar.focus({ preventScroll: true }); }
  }

  /* hover, focus, click */
  const entryOf = (event) => { const found = event.target.closest && event.target.closest(".edge, .dot, tbody tr, #difference li"); return found ? found.entry : null; };
  function hint(box, title, lines) {
    tip.replaceChildren(make("b", {}, title), ...lines.map((line) => make("div", {}, line)));
    tip.hidden = false;
    const size = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left + Math.min(box.width, 400) / 2 - size.width / 2, innerWidth - size.width - 8));
    const top = box.bottom + size.height + 14 < innerHeight ? box.bottom + 8 : box.top - size.height - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  }
  for (const place of [timeline, $("scatter")]) {
    for (const event of ["pointerover", "focusin"]) place.addEventListener(event, (seen) => {
      const one = entryOf(seen);
      if (one && !drag) hint(seen.target.getBoundingClientRect(), one.label, words(one)); else tip.hidden = true;
    });
    for (const event of ["pointerleave", "focusout"]) place.addEventListener(event, () => { tip.hidden = true; });
  }
  for (const place of [$("scatter"), body, $("difference")]) {
    place.addEventListener("click", (event) => { const one = entryOf(event); if (one) show(one, true); });
    place.addEventListener("keydown", (event) => { const one = entryOf(event); if (one && event.key === "Enter") show(one, true); });
  }
  for (const row of body.rows) row.tabIndex = 0;
  room.addEventListener("pointermove", (event) => {
    const box = room.getBoundingClientRect(), at = secondsAt((event.clientX - box.left) * wide / box.width);
    const near = data.samples.reduce((best, one) => Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best, data.samples[0]);
    room.querySelectorAll(".cursor").forEach((old) => old.remove());
    room.append(draw("line", { class: "cursor", x1: x(near[0]), x2: x(near[0]), y1: 4, y2: 98 }));
    const running = rows.filter((one) => one.start <= near[0] && near[0] < one.end).map((one) => one.label.split("/").pop());
    const place = { left: event.clientX, width: 0, top: box.top, bottom: box.bottom };
    hint(place, `${bytes(near[1])} of ${bytes(near[2])} at ${clock(near[0])}`,
      [...(near[3] ? [`${near[3]} held back`] : []), ...running.slice(0, 8), ...(running.length > 8 ? [`and ${running.length - 8} more`] : [])]);
  });
  room.addEventListener("pointerleave", () => { tip.hidden = true; room.querySelectorAll(".cursor").forEach((old) => old.remove()); });

  /* zoom by hand */
  let drag = null;
  const pixel = (event) => { const box = timeline.getBoundingClientRect(); return (event.clientX - box.left) * wide / box.width; };
  timeline.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    drag = { from: pixel(event), entry: entryOf(event), box: null };
  });
  addEventListener("pointermove", (event) => {
    if (!drag || Math.abs(pixel(event) - drag.from) < 5 && !drag.box) return;
    if (!drag.box) { drag.box = draw("rect", { class: "select", y: TOP - 4, height: timeline.getBoundingClientRect().height - TOP }); timeline.append(drag.box); tip.hidden = true; }
    const [from, to] = [drag.from, pixel(event)].sort((a, b) => a - b);
    fill(drag.box, { x: Math.max(from, LEFT), width: Math.max(Math.min(to, wide - RIGHT) - Math.max(from, LEFT), 0) }, []);
  });
  addEventListener("pointerup", (event) => {
    if (!drag) return;
    const ended = drag, [from, to] = [drag.from, pixel(event)].sort((a, b) => a - b);
    drag = null;
    if (ended.box) zoom(inside(secondsAt(from)), inside(secondsAt(to)));
    else if (ended.entry) show(ended.entry, true);
  });
  addEventListener("pointercancel", () => { if (drag && drag.box) drag.box.remove(); drag = null; });
  timeline.addEventListener("dblclick", () => zoom(0, length));
  timeline.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    scale(event.deltaY > 0 ? 1.25 : 0.8, inside(secondsAt(pixel(event))));
  }, { passive: false });
  $("in").addEventListener("click", () => scale(0.5));
  $("out").addEventListener("click", () => scale(2));
  $("fit").addEventListener("click", () => zoom(0, length));
  function step(one, key) {
    const beside = (lane) => rows.filter((other) => other.slot === lane).sort((a, b) => a.start - b.start);
    const own = beside(one.slot), at = own.indexOf(one), middle = one.start + one.seconds / 2;
    const nearest = (lane) => beside(lane).sort((a, b) => Math.abs(a.start + a.seconds / 2 - middle) - Math.abs(b.start + b.seconds / 2 - middle))[0];
    return { ArrowLeft: own[at - 1], ArrowRight: own[at + 1], Home: own[0], End: own[own.length - 1],
      ArrowUp: nearest(one.slot - 1), ArrowDown: nearest(one.slot + 1) }[key];
  }
  timeline.addEventListener("keydown", (event) => {
    const one = entryOf(event);
    if (event.key === "+" || event.key === "-") { const middle = one ? one.start : undefined; scale(event.key === "+" ? 0.5 : 2, middle); if (active && active.bar) active.bar.focus(); return; }
    if (!one) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(one, true); return; }
    const next = step(one, event.key);
    if (!/^(Arrow|Home|End)/.test(event.key)) return;
    event.preventDefault();
    if (!next) return;
    if (!next.bar) { const half = (view.to - view.from) / 2; zoom(next.start - half, next.start + half); }
    focusable(next);
    next.bar.focus({ preventScroll: true });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) close(true);
    if (event.key === "/" && !/^(input|select|textarea)$/i.test(event.target.tagName)) { event.preventDefault(); controls.q.focus(); }
  });

  /* light and dark */
  const theme = $("theme"), root = document.documentElement;
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const said = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; said(); });
  said();
  theme.hidden = false;

  /* start */
  for (const head of heads) {
    const button = make("button", { type: "button" }, head.textContent);
    button.addEventListener("click", () => {
      const key = head.dataset.key, first = head.classList.contains("n") && key !== "start" ? `-${key}` : key;
      state.sort = state.sort === first ? (first.startsWith("-") ? key : `-${key}`) : first;
      order();
      write();
    });
    head.replaceChildren(button);
  }
  for (const chip of chips) chip.addEventListener("click", () => {
    if (!state.outcomes.delete(chip.dataset.outcome)) state.outcomes.add(chip.dataset.outcome);
    changed();
  });
  controls.colour.addEventListener("change", () => { pictures(); write(); });
  controls.q.addEventListener("input", changed);
  $("reset").addEventListener("click", () => {
    controls.q.value = "";
    controls.colour.value = "target";
    state.outcomes.clear();
    state.sort = "-seconds";
    order();
    zoom(0, length);
    changed();
  });
  $("tools").hidden = false;
  drawDifference();
  new ResizeObserver(() => requestAnimationFrame(() => {
    if (Math.abs(timeline.getBoundingClientRect().width - wide) > 0.5) pictures();
  })).observe($("pictures"));
  addEventListener("hashchange", () => { if (location.hash !== address()) restore(); });
  restore();
})();
