SELECT l_returnflag, l_linestatus,
	sum(l_quantity) AS quantity, sum(l_extendedprice) AS price,
	sum(l_extendedprice * (1 - l_discount)) AS discounted,
	sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS charged,
	avg(l_quantity) AS mean_quantity, avg(l_extendedprice) AS mean_price, avg(l_discount) AS mean_discount, count(*) AS items
FROM lineitem
WHERE l_shipdate <= date '1998-12-01' - interval '90 days'
GROUP BY l_returnflag, l_linestatus
ORDER BY l_returnflag, l_linestatus
