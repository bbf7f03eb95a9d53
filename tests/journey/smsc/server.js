// An SMSC on node-smpp whose answers depend on the last two digits of the number. Nobody of this product wrote node-smpp.
// node server.js PORT PASSWORD WINDOW BASE; a line of JSON on standard output at the end says what it saw.
const smpp = require("smpp");
const [port, password, window, base] = [+process.argv[2], process.argv[3], +process.argv[4], +process.argv[5]];
const THROTTLED_TIMES = 3;

const saw = { submits: 0, accepted: 0, twice: 0, widest: 0, acknowledged: 0, unacknowledged: 0, binds: 0, texts: [] };
const accepted = new Set();
const texts = new Set();
const pending = new Map();
let last = 1000, throttled = 0, full = 0, cut = false, brought = 0, current = null;

function receipt(pdu, id, stat, more = {}) {
  const text = `id:${id} sub:001 dlvrd:001 submit date:2603021000 done date:2603021001 stat:${stat} err:${stat === "UNDELIV" ? "027" : "000"} text:`;
  bring({ source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4, short_message: text, ...more });
}

// What is not acknowledged is brought again over the next connection, as a real SMSC does.
function bring(deliver, key = ++brought) {
  pending.set(key, deliver);
  current.deliver_sm(deliver, (answer) => {
    if (answer.command_status) return saw.unacknowledged++;
    saw.acknowledged++;
    pending.delete(key);
  });
}

function reply(pdu, more) {
  bring({ source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, ...more });
}

smpp.createServer({}, (session) => {
  let waiting = 0;
  session.on("error", () => {});
  session.on("bind_transceiver", (pdu) => {
    saw.binds++;
    if (pdu.password !== password) return session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
    session.send(pdu.response({ system_id: "NODE" }));
    current = session;
    for (const [key, deliver] of [...pending]) bring(deliver, key);
  });
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => { session.send(pdu.response()); session.close(); });
  session.on("submit_sm", (pdu) => {
    saw.submits++;
    waiting++;
    saw.widest = Math.max(saw.widest, waiting);
    const number = pdu.destination_addr, ends = number.slice(-2);
    const say = (fields) => setTimeout(() => { waiting--; session.send(pdu.response(fields)); }, 2);
    const refuse = (status) => say({ command_status: status });
    if (waiting > window) return refuse(smpp.ESME_RMSGQFUL);
    if (ends === "81" && throttled++ < THROTTLED_TIMES) return refuse(smpp.ESME_RTHROTTLED);
    if (ends === "90" && full++ < THROTTLED_TIMES) return refuse(smpp.ESME_RMSGQFUL);
    if (ends === "82") return refuse(smpp.ESME_RINVDSTADR);
    if (ends === "98") return refuse(smpp.ESME_RSUBMITFAIL);
    if (ends === "83") { waiting--; return; }
    if (ends === "87" && !cut) { cut = true; session.destroy(); return; }
    const udh = pdu.short_message.udh;
    const part = udh ? `${number} ${udh[udh.length - 1]}` : number;
    if (accepted.has(part)) saw.twice++;
    accepted.add(part);
    saw.accepted++;
    texts.add(pdu.short_message.message);
    const id = String(++last), other = last.toString(base);
    const wanted = pdu.registered_delivery & 1;
    if (ends === "84" && wanted) receipt(pdu, other, "DELIVRD");
    say({ message_id: id });
    if (!wanted) return;
    setTimeout(() => {
      if (ends === "84" || ends === "91") return;
      if (ends === "86") receipt(pdu, other, "DELIVRD");
      if (ends === "88") return receipt(pdu, "", "", { short_message: "", receipted_message_id: other, message_state: 2 });
      if (ends === "89") receipt(pdu, other, "ENROUTE");
      if (ends === "92") return receipt(pdu, other, "REJECTD");
      if (ends === "93") return receipt(pdu, "99" + other, "DELIVRD");
      if (ends === "94") return receipt(pdu, other, "BUFFRED");
      if (ends === "95") return receipt(pdu, other, "UNDELIV");
      receipt(pdu, other, "DELIVRD");
      if (ends === "96") reply(pdu, { short_message: "退订" });
      if (ends === "97") for (const n of [2, 1]) {
        const header = Buffer.from([5, 0, 3, 77, 2, n]);
        reply(pdu, { esm_class: 0x40, short_message: { udh: header, message: n === 1 ? "谢谢你们，" : "下次再来" } });
      }
    }, 5);
  });
}).listen(port, "127.0.0.1");

process.on("SIGTERM", () => {
  saw.texts = [...texts];
  process.stdout.write(JSON.stringify(saw) + "\n", () => process.exit(0));
});
