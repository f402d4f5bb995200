// Attacks by other sites, by texts in files, and by clients without a key.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import http from "node:http";
import { Lab, threeFarms, visit, login, closeBrowser, until } from "./lab.mjs";

const evil = `<img src=x onerror=\\"document.title='owned'\\"><script>document.title='owned'</script>{{7*7}}`;
const name = `x'-alert(1)-'<b>`;
let lab, elsewhere, asked = "";
before(async () => {
	lab = await new Lab({ ...threeFarms,
		"evil.toml": `description = "${evil}"\nlisten = "192.0.2.11:99"\n[backends.b1]\naddress = "10.0.0.11"\n` }).start();
	elsewhere = http.createServer((request, answer) => {
		asked += request.url + "\n";
		answer.setHeader("Content-Type", "text/html");
		answer.end(request.url === "/frame" ? `<iframe id="f" src="${lab.url}/ui/"></iframe>` :
			`<form id="f" method="post" action="${lab.url}/ui/farms/web/backends/web1/state">
			<input name="state" value="down"><input name="token" value="x"></form><script>document.getElementById("f").submit()</script>`);
	});
	await new Promise(done => elsewhere.listen(7777, "127.0.0.2", done));
});
after(async () => { elsewhere.close(); await closeBrowser(); await lab.close(); });

test("descriptions, file names and lines of files are shown as text", async () => {
	const page = await visit();
	await lab.fail("web", "web1", `</ul><script>document.title='owned'</script><style>*{display:none}</style>`);
	lab.write(`${name}.toml`, `listen = "${evil}"\n`);
	await until(async () => (await lab.api("GET", "/v1/overview?size=1")).document.faults.length > 0, "fault");
	await login(page, lab, "write");
	for (const path of ["/ui/", "/ui/farms/evil", "/ui/farms/web", "/ui/problems", "/ui/history", "/ui/script?farm=evil",
		"/ui/?search=" + encodeURIComponent(`"><script>document.title='owned'</script>`)]) {
		await page.goto(lab.url + path);
		await page.waitForTimeout(300);
		assert.doesNotMatch(await page.title(), /owned/, path);
		assert.equal(await page.locator("main img:not(.graph), main script, main style, main b:not(.filter b)").count(), 0, path);
	}
	await page.goto(lab.url + "/ui/problems");
	assert.match(await page.locator("main").innerText(), /x'-alert\(1\)-'<b>\.toml/);
	await page.goto(lab.url + "/ui/");
	assert.match(await page.locator("#farm-evil").innerText(), /<img src=x onerror=[\s\S]*\{\{7\*7\}\}/);
	assert.deepEqual(page.errors, []);
	lab.remove(`${name}.toml`);
	await until(async () => (await lab.api("GET", "/v1/overview?size=1")).document.faults.length === 0, "end of the fault");
	await lab.heal("web", "web1");
});

test("texts in events change nothing but text", async () => {
	const page = await visit();
	await login(page, lab, "read", "/ui/farms/web");
	await page.waitForFunction(() => document.getElementById("connection").dataset.events === "open");
	await lab.fail("web", "web1", `<img src=x onerror="document.title='owned'">`);
	await page.waitForFunction(() => /onerror/.test(document.querySelector("#backend-web1").innerText));
	assert.doesNotMatch(await page.title(), /owned/);
	assert.match(await page.locator("#announcer").innerText(), /web web1 unhealthy/);
	assert.deepEqual(page.errors, []);
	await lab.heal("web", "web1");
});

test("no code within a page runs, even if a text got through", async () => {
	const page = await visit();
	await login(page, lab, "read");
	const ran = await page.evaluate(async () => {
		const s = document.createElement("script");
		s.textContent = "window.ran = true";
		document.body.append(s);
		const i = document.createElement("div");
		i.innerHTML = `<img src="/ui/static/none" onerror="window.ran = true" style="position:fixed">`;
		document.body.append(i);
		await new Promise(done => setTimeout(done, 500));
		return window.ran === true;
	});
	assert.equal(ran, false);
	assert.ok(page.errors.some(e => /Content Security Policy/.test(e)), "the policy is in force");
});

test("a page of another site can neither act nor show these pages", async () => {
	const page = await visit();
	await login(page, lab, "write");
	await page.goto("http://127.0.0.2:7777/form");
	await page.waitForURL(url => url.port === "5555");
	assert.equal((await lab.api("GET", "/v1/farms/web/backends/web1/state")).document.state, "up");
	await page.goto("http://127.0.0.2:7777/frame");
	await until(() => page.errors.some(e => /frame-ancestors|X-Frame-Options|refused to connect/i.test(e)), "refusal of the frame");
	await page.goto(lab.url + "/ui/");
	assert.equal(await page.getByRole("heading", { name: "Farms" }).count(), 1, "the session is still there");
	assert.match(asked, /form/);
});

test("the session cookie is out of reach for scripts, and answers are not stored", async () => {
	const page = await visit();
	await login(page, lab, "read");
	assert.equal(await page.evaluate(() => document.cookie), "");
	const [cookie] = await page.context().cookies();
	assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
	const answer = await page.request.get(lab.url + "/ui/");
	const h = answer.headers();
	assert.equal(h["cache-control"], "no-store");
	assert.equal(h["x-content-type-options"], "nosniff");
	assert.equal(h["referrer-policy"], "same-origin");
	assert.match(h["content-security-policy"], /frame-ancestors 'none'/);
	assert.equal((await page.request.get(lab.url + "/v1/status")).status(), 401, "a session is no key of the API");
});

test("a wrong key is slow, and logged", async () => {
	const page = await visit();
	await page.goto(lab.url + "/ui/login");
	await page.getByLabel("Key of the API").fill("farmc_guess");
	const began = Date.now();
	await page.getByRole("button", { name: "Log in" }).click();
	await page.getByText("This is not a key of the API.").waitFor();
	assert.ok(Date.now() - began >= 1000, "the answer takes a second");
	assert.match(lab.log, /wrong key from 127\.0\.0\.1/);
	await page.getByLabel("Key of the API").fill(lab.keys.health);
	await page.getByRole("button", { name: "Log in" }).click();
	await page.getByText("The role health is for programs").waitFor();
});
