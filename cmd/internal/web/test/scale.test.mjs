// Many farms: the time to the first paint, the size of a page, and the memory and processor time of watch without a page
// and with an open one.
import test, { after } from "node:test";
import assert from "node:assert/strict";
import { Lab, manyFarms, visit, login, closeBrowser } from "./lab.mjs";

const farms = Number(process.env.FARMS || 10_000), backends = 10;
after(closeBrowser);

test(`${farms} farms with ${backends} backends each`, async t => {
	const lab = await new Lab(manyFarms(farms, backends)).start();
	try {
		await new Promise(done => setTimeout(done, 30_000)); // after the work of the start
		const spent = lab.processor();
		await new Promise(done => setTimeout(done, 120_000));
		const before = lab.memory();
		t.diagnostic(`processor time of watch without a page: ${(lab.processor() - spent).toFixed(1)} s of 120 s`);
		const answer = await lab.api("GET", "/v1/overview?size=1");
		const history = answer.document.sums.history;
		t.diagnostic(`${history.open.length} points of ${history.step} s from the time without a page`);
		assert.ok(history.open.length > 0, "there is a history from the time without a page");
		const page = await visit();
		await login(page, lab, "read");
		const paints = [];
		for (const path of ["/ui/", "/ui/?search=mail-0007", "/ui/?page=100", "/ui/farms/mail-500", "/ui/", "/ui/?show=up", "/ui/?page=2"]) {
			await page.goto(lab.url + path);
			await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
			const [paint, size] = await page.evaluate(() => [performance.getEntriesByName("first-contentful-paint")[0].startTime,
				performance.getEntriesByType("navigation")[0].decodedBodySize]);
			paints.push(Math.round(paint));
			t.diagnostic(`${path}: first paint after ${Math.round(paint)} ms, ${Math.round(size / 1024)} KiB`);
		}
		await page.waitForTimeout(60_000); // samples and refreshes
		const open = lab.memory();
		t.diagnostic(`memory of watch: ${before} MiB before, ${open} MiB with the page open for a minute`);
		const busy = lab.processor();
		await page.waitForTimeout(60_000);
		t.diagnostic(`processor time of watch with the page: ${(lab.processor() - busy).toFixed(1)} s of 60 s`);
		const later = lab.memory();
		t.diagnostic(`and ${later} MiB after another minute`);
		assert.deepEqual(page.errors, []);
		const median = paints.sort((a, b) => a - b)[paints.length >> 1]; // other programs of the machine delay some
		assert.ok(median < 1000, `first paints ${paints}`);
		assert.ok(later < 1.25 * open + 50, `memory grows from ${open} to ${later} MiB`);
	} finally { await lab.close(); }
});
