"use strict";
// A read-only board: draws what the server says and infers nothing. Text goes in by textContent.
(() => {
  const SILENT_MS = 12000;
  const BACK_OFF_S = [0.5, 1, 2, 4, 5];
  const WORDS = {
    queued: "排队", alerting: "振铃", established: "通话", conferenced: "三方通话", parted: "衔接中",
    held: "保持", consulting: "咨询", alternated: "切换中", waiting: "等待接入", ending: "结束中",
    cleared: "已结束", initiated: "呼叫中", connected: "已接通", hold: "保持", null: "已断开",
    loggedOff: "未签入", notReady: "示忙", ready: "示闲", reserved: "预占", busy: "通话中",
    workingAfterCall: "话后处理", up: "正常", degraded: "降级", down: "中断",
    citizen: "市民", seat: "坐席", hotline: "12345", unit: "联动单位", leader: "值班长", radio: "电台组",
    requested: "已请求", ringing: "振铃", answered: "已接听", accepted: "已应答", joined: "已加入",
    taken: "已接手", ended: "已结束", asterisk: "交换机", store: "存储", platform: "12345平台",
  };
  const byId = (id) => document.getElementById(id);
  const word = (key) => WORDS[key] || String(key);
  const mask = (n) => (n.length > 7 ? n.slice(0, 3) + "****" + n.slice(-4) : n);
  const make = (tag, text, cls) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (cls) node.className = cls;
    return node;
  };

  let token = "";
  let socket = null;
  let tries = 0;
  let position = null;
  let heard = 0;
  let reading = false;
  let again = false;
  let shown = { calls: [], seats: [], links: {}, alarms: [] };

  function say(text, stale) {
    byId("state").textContent = text;
    document.body.className = stale ? "stale" : "";
  }

  function drawCall(call) {
    const box = make("article");
    const head = make("h3");
    head.append(make("span", word(call.state), call.state), ` ${call.case} ${mask(call.number)}`);
    box.append(head);
    for (const leg of call.legs) {
      if (leg.cleared_at !== null) continue;
      const line = make("p", `${word(leg.role)} ${leg.seat || mask(leg.number)} `);
      line.append(make("span", word(leg.state), leg.state));
      if (leg.muted) line.append(" 静音");
      box.append(line);
    }
    for (const handoff of call.handoffs) {
      const line = make("p", `移交 ${handoff.target} `);
      line.append(make("span", word(handoff.state), handoff.state));
      if (handoff.outcome) line.append(` ${handoff.outcome}`);
      box.append(line);
    }
    return box;
  }

  function drawSeat(seat) {
    const item = make("li", `${seat.id} `);
    item.append(make("span", word(seat.state), seat.state));
    if (seat.reason) item.append(` ${seat.reason}`);
    return item;
  }

  function drawLinks() {
    const items = Object.entries(shown.links).map(([name, link]) => {
      const item = make("li", `${word(name)} `);
      item.append(make("span", word(link.state), link.state));
      return item;
    });
    for (const alarm of shown.alarms) items.push(make("li", `${alarm.alarm} ${alarm.words}`, "down"));
    return items;
  }

  function draw() {
    const calls = shown.calls.map(drawCall);
    byId("calls").replaceChildren(...(calls.length ? calls : [make("p", "没有通话")]));
    byId("seats").replaceChildren(...shown.seats.map(drawSeat));
    byId("links").replaceChildren(...drawLinks());
  }

  // What an event means is the server's to say: the board reads the snapshot again.
  async function refresh() {
    if (reading) { again = true; return; }
    reading = true;
    try {
      do {
        again = false;
        const answer = await fetch("/api/v1/snapshot", { headers: { Authorization: `Bearer ${token}` } });
        if (answer.ok) { shown = await answer.json(); draw(); }
        await new Promise((done) => setTimeout(done, 250));
      } while (again);
    } catch (error) {
      say("与服务器失去联系", true);
    } finally {
      reading = false;
    }
  }

  function onEvent(event) {
    position = { epoch: event.epoch, seq: event.seq };
    byId("clock").textContent = (event.type === "heartbeat" ? event.data.now : event.at).slice(11, 19);
    if (event.type === "heartbeat") return;
    if (event.type !== "leg.talking" && event.type !== "radio.ptt") refresh();
  }

  function onMessage(text) {
    heard = Date.now();
    const message = JSON.parse(text);
    if (message.op === "welcome") {
      tries = 0;
      position = { epoch: message.epoch, seq: message.seq };
      byId("sign-in").hidden = true;
      byId("board").hidden = false;
      say(`${message.name} ${message.seat || ""}`, false);
      if (message.snapshot) { shown = message.snapshot; draw(); } else refresh();
    } else if (message.type) {
      onEvent(message);
    }
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/cti`, "bridge110.cti.v1");
    heard = Date.now();
    socket.onopen = () => {
      const hello = { op: "hello", token };
      if (position) hello.resume = position;
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = (message) => onMessage(message.data);
    socket.onclose = (end) => {
      socket = null;
      if (end.code === 4001) {
        token = "";
        byId("sign-in").hidden = false;
        byId("board").hidden = true;
        say("令牌无效或已失效,请重新签入", false);
        return;
      }
      say("与服务器失去联系", true);
      const wait = BACK_OFF_S[Math.min(tries, BACK_OFF_S.length - 1)] * (0.8 + 0.4 * Math.random());
      tries += 1;
      setTimeout(() => { if (token && !socket) connect(); }, wait * 1000);
    };
  }

  setInterval(() => {
    if (socket && Date.now() - heard > SILENT_MS) {
      say("与服务器失去联系", true);
      socket.close();
    }
  }, 1000);

  byId("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    byId("token").value = "";
    connect();
  });
})();
