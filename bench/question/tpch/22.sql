WITH prospects AS (
	SELECT substring(c_phone, 1, 2) AS country, c_acctbal, c_custkey
	FROM customer
	WHERE substring(c_phone, 1, 2) IN ('13', '31', '23', '29', '30', '18', '17')
)
SELECT country, count(*) AS customers, sum(c_acctbal) AS balance
FROM prospects
WHERE c_acctbal > (SELECT avg(c_acctbal) FROM prospects WHERE c_acctbal > 0.00)
	AND NOT EXISTS (SELECT 1 FROM orders WHERE o_custkey = c_custkey)
GROUP BY country
ORDER BY country
