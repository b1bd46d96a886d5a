DROP TABLE throttles;
DROP TABLE attempts;
