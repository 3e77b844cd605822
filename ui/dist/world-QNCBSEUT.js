var r={height:480,shapes:{},dots:{}};export{r as world};
