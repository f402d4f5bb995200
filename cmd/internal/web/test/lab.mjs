// A lab for the tests of the pages: farmc watch with farms, in the network namespace of this process, with servers that
// answer as backends and clients that connect. The tests run in a namespace of their own: see run.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, writeFileSync, rmSync, renameSync, readFileSync, existsSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { chromium } from "playwright-core";

const farmc = process.env.FARMC;
if (!farmc) throw new Error("FARMC names the program to test");

// network gives the namespace the addresses of services and backends, once for all files of tests.
function network() {
	const ip = (...words) => execFileSync("ip", words, { stdio: "pipe" });
	if (ip("-o", "link").toString().includes("services")) return;
	ip("link", "set", "lo", "up");
	ip("link", "add", "services", "type", "veth", "peer", "name", "beyond");
	ip("link", "set", "services", "up");
	ip("link", "set", "beyond", "up");
	ip("address", "add", "192.0.2.1/24", "dev", "services");
	ip("address", "add", "10.0.0.1/8", "dev", "services");
	for (const host of ["192.0.2.10", "192.0.2.11", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"]) {
		ip("address", "add", host + "/32", "dev", "services");
	}
}

// countBytes sets whether the kernel counts the bytes of connections that begin.
export function countBytes(on) {
	writeFileSync("/proc/sys/net/netfilter/nf_conntrack_acct", on ? "1" : "0");
}

// threeFarms are farms as a small site has them.
export const threeFarms = {
	"web.toml": `description = "public web site"
listen = ["192.0.2.10:80", "192.0.2.10:443"]
[access]
deny = ["203.0.113.0/24"]
[limits]
ban = "10m"
new-per-client = { rate = "500/second", burst = 500 }
[backends.web1]
address = "10.0.0.11"
weight = 3
[backends.web2]
address = "10.0.0.12"
weight = 2
[backends.web3]
address = "10.0.0.13"
`,
	"mail.toml": `description = "mail relays of the campus"
listen = ["192.0.2.11:25", "192.0.2.11:587"]
[backends.mx1]
address = "10.0.0.13"
[backends.mx2]
address = "10.0.0.14"
`,
	"dns.toml": `listen = "192.0.2.11:53/udp"
description = "resolvers"
[backends.ns1]
address = "10.0.0.11"
[backends.ns2]
address = "10.0.0.12"
`,
};

const services = ["shop", "api", "mail", "auth", "files", "search", "video", "git"];

// manyFarms are n farms with k backends each.
export function manyFarms(n, k = 4) {
	const files = {};
	for (let i = 0; i < n; i++) {
		const name = `${services[i % services.length]}-${String(Math.floor(i / services.length) + 1).padStart(2, "0")}`;
		let text = `listen = "192.${i >> 14 & 255}.${2 + (i >> 7 & 127)}.${1 + (i & 127)}:443"\n`;
		if (i % 3 === 0) text += `description = "team ${1 + i % 7}, ${services[i % services.length]}"\n`;
		for (let j = 1; j <= k; j++) text += `[backends.n${j}]\naddress = "10.${1 + (i >> 8)}.${i & 255}.${j}"\n`;
		files[name + ".toml"] = text;
	}
	return files;
}

export class Lab {
	constructor(files, { front = false, port = 5555, host = "127.0.0.1" } = {}) {
		network();
		execFileSync("nft", ["flush", "ruleset"]);
		countBytes(true);
		this.dir = mkdtempSync("/var/lib/farmc-ui-test-");
		this.farms = path.join(this.dir, "farms.d");
		this.run = path.join(this.dir, "run.d");
		this.state = path.join(this.dir, "state");
		this.keyFile = path.join(this.dir, "api.keys");
		this.front = front;
		this.port = port;
		this.host = host;
		this.log = "";
		this.processes = [];
		mkdirSync(this.farms);
		mkdirSync(this.run);
		mkdirSync(this.state, { mode: 0o700 });
		for (const [name, text] of Object.entries(files)) this.write(name, text);
		this.keys = {};
		for (const role of ["read", "state", "write", "health"]) this.makeKey("the-" + role, role);
	}

	makeKey(name, role) {
		const out = execFileSync(farmc, ["api-key", name, "--role", role, "--api-keys", this.keyFile], { stdio: "pipe" });
		return this.keys[role] = out.toString().trim();
	}

	revoke(name) {
		const lines = readFileSync(this.keyFile, "utf8").split("\n").filter(line => !line.startsWith(name + " "));
		writeFileSync(this.keyFile, lines.join("\n"));
	}

	// write writes a file of farms as an editor does.
	write(name, text) {
		const file = path.join(this.farms, name);
		mkdirSync(path.dirname(file), { recursive: true });
		writeFileSync(file + "~", text);
		renameSync(file + "~", file);
	}

	remove(name) { rmSync(path.join(this.farms, name), { recursive: true }); }

	get url() { return `http://${this.host}:${this.port}`; }

	async start() {
		await this.startWatch();
		if (this.front) await this.startFront();
		return this;
	}

	async startWatch() {
		const where = this.front ? ["--relay", this.dir + "/relay.sock"] : ["--api", `${this.host}:${this.port}`, "--api-insecure"];
		this.watch = this.spawn("watch", "-d", this.farms, "-d", this.run, "--state-dir", this.state, "--isolate",
			"--api-keys", this.keyFile, ...where);
		if (this.front) await until(() => existsSync(this.dir + "/relay.sock"), "the socket of watch");
		else await this.answers();
	}

	async startFront() {
		this.frontProcess = this.spawn("api", "--api", `${this.host}:${this.port}`, "--api-insecure", "--relay", this.dir + "/relay.sock",
			"--api-keys", this.keyFile);
		await this.answers();
	}

	// answers waits until the farms are loaded and the API answers.
	async answers() {
		await until(async () => (await this.api("GET", "/v1/overview?size=1")).status === 200, "the API");
	}

	spawn(...words) {
		const p = spawn(farmc, words, { stdio: ["ignore", "pipe", "pipe"] });
		const keep = text => { this.log = (this.log + text).slice(-100_000); };
		p.stdout.on("data", keep);
		p.stderr.on("data", keep);
		this.processes.push(p);
		return p;
	}

	// stop ends a process, and waits for that.
	async stop(p, signal = "SIGTERM") {
		if (!p || p.exitCode !== null || p.signalCode !== null) return;
		const ended = new Promise(done => p.once("exit", done));
		p.kill(signal);
		await ended;
	}

	async close() {
		for (const p of this.processes) await this.stop(p);
		rmSync(this.dir, { recursive: true, force: true });
	}

	// api sends a request of a program.
	async api(method, where, document, key = this.keys.write) {
		const answer = await fetch(this.url + where, { method, headers: { Key: key, "Content-Type": "application/json" },
			body: document === undefined ? undefined : JSON.stringify(document) }).catch(() => ({ status: 0, text: () => "" }));
		const text = await answer.text();
		let parsed = null;
		try { parsed = JSON.parse(text); } catch { /* no document */ }
		return { status: answer.status, document: parsed, text };
	}

	// fail has a checker say that a backend is unhealthy.
	async fail(farm, backend, reason) {
		const r = await this.api("PUT", `/v1/farms/${farm}/backends/${backend}/health`,
			{ healthy: false, by: "probe-1", reason });
		if (r.status !== 200) throw new Error(`health word: ${r.status} ${r.text}`);
	}

	async heal(farm, backend) {
		await this.api("PUT", `/v1/farms/${farm}/backends/${backend}/health`, { healthy: true, by: "probe-1" });
	}

	// processor is the processor time of watch so far, in seconds.
	processor() {
		const fields = readFileSync(`/proc/${this.watch.pid}/stat`, "utf8").replace(/.*\) /, "").split(" ");
		return (Number(fields[11]) + Number(fields[12])) / 100; // USER_HZ
	}

	// memory is the memory of watch in MiB.
	memory() {
		const status = readFileSync(`/proc/${this.watch.pid}/status`, "utf8");
		return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024);
	}
}

// patience is the longest wait for a condition, in milliseconds: other programs of the machine delay some.
const patience = 600_000;

// until waits until a condition holds.
export async function until(holds, what) {
	for (const end = Date.now() + patience; Date.now() < end;) {
		if (await holds()) return;
		await new Promise(done => setTimeout(done, 100));
	}
	throw new Error(`no ${what} within ${patience} ms`);
}

// traffic connects to the farms of threeFarms until it is stopped.
export function traffic() {
	const servers = [], open = new Set();
	for (const host of ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"]) {
		for (const port of [80, 443, 25, 587]) {
			const server = net.createServer(c => {
				open.add(c);
				c.on("error", () => {});
				c.on("close", () => open.delete(c));
				c.on("end", () => c.end());
				c.resume();
				c.write(Buffer.alloc(2000 + Math.round(60_000 * Math.random())));
			});
			server.listen(port, host);
			servers.push(server);
		}
	}
	let step = 0;
	const timer = setInterval(() => {
		step++;
		const wanted = 2 + Math.round(6 * (1 + Math.sin(step / 40)) + 3 * Math.random());
		for (let i = 0; i < wanted; i++) {
			const [host, port] = [["192.0.2.10", 80], ["192.0.2.10", 443], ["192.0.2.10", 443], ["192.0.2.11", 25]][i % 4];
			const c = net.connect(port, host);
			open.add(c);
			c.resume();
			c.on("error", () => {});
			c.on("close", () => open.delete(c));
			setTimeout(() => c.end(), 500 + 4000 * Math.random());
		}
	}, 100);
	return () => {
		clearInterval(timer);
		for (const c of open) c.destroy();
		for (const s of servers) s.close();
	};
}

let browser = null;

// launch starts the browser of this machine once.
export async function launch() {
	browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-dev-shm-usage"] });
	return browser;
}

export async function closeBrowser() {
	if (browser) await browser.close();
	browser = null;
}

// visit opens a page, which notes errors of the console and shifts of the layout.
export async function visit(options = {}) {
	const context = await (await launch()).newContext({ viewport: { width: 1360, height: 860 }, ...options });
	context.setDefaultTimeout(patience);
	const page = await context.newPage();
	page.errors = [];
	page.on("console", message => { if (message.type() === "error" || message.type() === "warning") page.errors.push(message.text()); });
	page.on("pageerror", error => page.errors.push(String(error)));
	await page.addInitScript(() => {
		window.shifts = [];
		new PerformanceObserver(list => {
			for (const e of list.getEntries()) {
				if (!e.hadRecentInput) window.shifts.push({ value: e.value, nodes: e.sources.map(s => s.node ? s.node.nodeName + " in " + s.node.parentElement?.outerHTML.slice(0, 90) : "") });
			}
		}).observe({ type: "layout-shift", buffered: true });
	});
	return page;
}

// login logs in with a key.
export async function login(page, lab, role, where = "/ui/") {
	await page.goto(lab.url + where);
	if (new URL(page.url()).pathname !== "/ui/login") return;
	await page.getByLabel("Key of the API").fill(lab.keys[role]);
	await page.getByRole("button", { name: "Log in" }).click();
	await page.waitForURL(url => url.pathname !== "/ui/login");
}
