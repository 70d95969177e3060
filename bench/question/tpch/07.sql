SELECT sold.n_name AS supplier_nation, bought.n_name AS customer_nation, extract(year FROM l_shipdate) AS year,
	sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM lineitem
JOIN supplier ON s_suppkey = l_suppkey
JOIN nation AS sold ON sold.n_nationkey = s_nationkey
JOIN orders ON o_orderkey = l_orderkey
JOIN customer ON c_custkey = o_custkey
JOIN nation AS bought ON bought.n_nationkey = c_nationkey
WHERE l_shipdate BETWEEN date '1995-01-01' AND date '1996-12-31'
	AND (sold.n_name = 'FRANCE' AND bought.n_name = 'GERMANY' OR sold.n_name = 'GERMANY' AND bought.n_name = 'FRANCE')
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
