// Many farms: the time to the first paint, the size of a page, and the memory of watch while a page is open.
import test, { after } from "node:test";
import assert from "node:assert/strict";
import { Lab, manyFarms, visit, login, closeBrowser } from "./lab.mjs";

const farms = Number(process.env.FARMS || 10_000), backends = 10;
after(closeBrowser);

test(`${farms} farms with ${backends} backends each`, async t => {
	const lab = await new Lab(manyFarms(farms, backends)).start();
	try {
		const before = lab.memory();
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
		await page.waitForTimeout(60_000);
		const later = lab.memory();
		t.diagnostic(`and ${later} MiB after another minute`);
		assert.deepEqual(page.errors, []);
		const median = paints.sort((a, b) => a - b)[paints.length >> 1]; // other programs of the machine delay some
		assert.ok(median < 1000, `first paints ${paints}`);
		assert.ok(later < 1.25 * open + 50, `memory grows from ${open} to ${later} MiB`);
	} finally { await lab.close(); }
});
