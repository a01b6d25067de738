// The unit's page while it is open: says that an order has arrived here, that it was opened, and
// keeps the list fresh. Everything else works without it.
"use strict";
(() => {
  if (document.body.dataset.live !== "yes") return;
  const lamp = document.getElementById("link");
  let wait = 500;

  async function refresh() {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("main");
    const typing = document.activeElement && document.activeElement.closest("main form");
    if (fresh && !typing) document.querySelector("main").replaceWith(fresh);
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/unit/events`, "bridge110.unit.v1");
    const tell = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => {
      wait = 500;
      lamp.textContent = "● 在线";
      const here = document.querySelector("[data-attempts]");
      const opened = here ? here.dataset.attempts.split(" ").filter(Boolean) : [];
      opened.forEach((attempt) => tell({ op: "read", attempt }));
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.op === "order") {
        tell({ op: "received", attempt: message.attempt });
        document.title = "【新指令】" + message.order;
      }
      if (message.op !== "beat") refresh();
    };
    socket.onclose = () => {
      lamp.textContent = "○ 与服务器失去联系";
      setTimeout(connect, wait * (0.8 + Math.random() * 0.4));
      wait = Math.min(wait * 2, 5000);
    };
  }
  connect();
})();
